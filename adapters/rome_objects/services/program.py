"""`rome-service --config-file FILE`: run a service. `python -m rome_objects.services` is the same command.

SIGTERM stops it gracefully: it finishes the calls that it has begun.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a service until SIGTERM. Return the exit status."""
    try:
        from rome_objects.services.run import run
    except ModuleNotFoundError as error:  # the command is installed with ROME, its packages only with the extra
        print(f"rome-service needs the package {error.name}: pip install 'rome-db[objects]'", file=sys.stderr)  # noqa: T201
        return 1
    return run(sys.argv[1:] if arguments is None else arguments)
