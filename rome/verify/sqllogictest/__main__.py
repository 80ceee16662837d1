"""Command line of the player; `python -m rome.verify.sqllogictest --help`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rome.verify.sqllogictest import __doc__ as description
from rome.verify.sqllogictest.play import FilePlayer
from rome.verify.sqllogictest.records import FileError


def main() -> int:
    """Play files; return 1 if a result differs, 2 if a file can't be read."""
    parser = argparse.ArgumentParser(
        prog="rome.verify.sqllogictest",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--store",
        default="rome+memory:///",
        help="URL of a store, up to the database's name (default: %(default)s)",
    )
    parser.add_argument("--most", type=int, default=10, help="failures shown for each file (default: %(default)s)")
    options = parser.parse_args()
    store = options.store if options.store.endswith("/") else options.store + "/"
    try:
        failures = [_play(path, store, options.most) for path in options.files]
    except (OSError, UnicodeDecodeError, FileError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return int(any(failures))


def _play(path: Path, store: str, most: int) -> int:
    """Play a file and print its failures; return their number."""
    player = FilePlayer(store)
    failures = 0
    try:
        for failure in player.play(path.read_text(encoding="utf-8")):
            failures += 1
            if failures <= most:
                sys.stdout.write(f"{path}, {failure}\n")
    except FileError as error:
        raise FileError(f"{path}, {error}") from error
    finally:
        player.close()
    sys.stdout.write(f"{path}: {player.played:,} records, {player.skipped:,} skipped, {failures:,} failures\n")
    return failures


if __name__ == "__main__":
    sys.exit(main())
