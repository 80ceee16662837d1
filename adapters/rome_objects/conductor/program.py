"""`rome-conductor --config-file FILE`: run the methods of objects for other processes.

It forks `[objects] workers` processes, and replaces those that die. SIGTERM stops them gracefully: each finishes the
calls that it has begun. `python -m rome_objects.conductor` is the same command.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run conductors until SIGTERM. Return the exit status."""
    try:
        from rome_objects.conductor.workers import run
    except ModuleNotFoundError as error:  # the command is installed with ROME, its packages only with the extra
        print(f"rome-conductor needs the package {error.name}: pip install 'rome-db[objects]'", file=sys.stderr)  # noqa: T201
        return 1
    return run(sys.argv[1:] if arguments is None else arguments)
