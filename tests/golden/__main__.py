"""Compare the golden files with what ROME does now; with --update, write them anew. Exit status 1 if they differ."""

import argparse
import sys

from tests.golden.files import find_themes, write_theme
from tests.golden.run import run_case


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the files anew")
    parser.add_argument("themes", nargs="*", help="only these, by name without .txt (default: all)")
    options = parser.parse_args()
    differing = 0
    for theme in find_themes():
        if options.themes and theme.path.stem not in options.themes:
            continue
        changed = 0
        for case in theme.cases:
            lines = run_case(theme.schema, case)
            changed += lines != case.expected
            case.expected = lines
        print(f"{theme.path.name}: {len(theme.cases)} cases, {changed} changed")
        differing += changed
        if options.update:
            write_theme(theme)
    return 1 if differing and not options.update else 0


if __name__ == "__main__":
    sys.exit(main())
