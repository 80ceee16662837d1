"""`rome-schema status|expand|migrate|contract`: upgrade a database while services run.

`python -m rome_objects.schema` is the same command.
"""

from __future__ import annotations

from collections.abc import Sequence

from rome_objects import programs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return the exit status."""
    return programs.run("rome-schema", "rome_objects.schema.command", arguments)
