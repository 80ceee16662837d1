"""Use an application in its virtual environment, and write the observations to a file: a part of scripts/judge-apps."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from applications import APPLICATIONS, URLS

from rome.testing.servers import valkey_server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=APPLICATIONS)
    parser.add_argument("--dialect", choices=URLS, help="use ROME under this name (default: SQLite, a file)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    # Processes that the application starts import its module, too.
    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parent)
    module = import_module(f"apps.{options.name}")
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        if options.dialect is None:
            seen = module.run(f"sqlite:///{folder}/judge.db", files)
        else:
            with valkey_server() as server:
                url = URLS[options.dialect].format(server=f"{server.host}:{server.port}", name="judge")
                seen = module.run(url, files)
    options.out.write_text(json.dumps(seen, default=str))
    sys.stdout.flush()
    os._exit(0)  # some applications leave threads that would keep the process alive


if __name__ == "__main__":
    main()
