"""`rome-service --config-file FILE`: run a service. `python -m rome_objects.services` is the same command.

SIGTERM stops it gracefully: it finishes the calls that it has begun.
"""

from __future__ import annotations

from collections.abc import Sequence

from rome_objects import programs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a service until SIGTERM. Return the exit status."""
    return programs.run("rome-service", "rome_objects.services.run", arguments)
