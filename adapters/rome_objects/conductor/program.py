"""`rome-conductor --config-file FILE`: run the methods of objects for other processes.

It forks `[objects] workers` processes, and replaces those that die. SIGTERM stops them gracefully: each finishes the
calls that it has begun. `python -m rome_objects.conductor` is the same command.
"""

from __future__ import annotations

from collections.abc import Sequence

from rome_objects import programs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run conductors until SIGTERM. Return the exit status."""
    return programs.run("rome-conductor", "rome_objects.conductor.workers", arguments)
