"""The releases of a program: revision scripts of Alembic, one for each release.

A script has the names that Alembic needs, and three more; each of these may be missing:

    revision = "v2"
    down_revision = "v1"

    def expand(): op.add_column("instances", sa.Column("cores", sa.Integer))
    mirrors = [Columns("instances", old=…, new=…)]
    def contract(): op.drop_column("instances", "size")

`alembic history` and `alembic current` work on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alembic.script import ScriptDirectory
from alembic.util import CommandError, coerce_resource_to_filename

from rome_objects.errors import SchemaError
from rome_objects.schema.mirrors import Mirror


@dataclass(frozen=True)
class Release:
    """A release, with the changes to the schema of the one before it."""

    name: str
    expand: Callable[[], None]
    contract: Callable[[], None]
    mirrors: Sequence[Mirror]


def load(scripts: Sequence[str]) -> list[Release]:
    """Return the releases in these directories, the oldest first. A directory is a path, or `package:path`.

    Raise SchemaError if there are none, or if they are not one line of releases.
    """
    try:
        folders = [str(coerce_resource_to_filename(place)) for place in scripts]
        missing = [folder for folder in folders if not Path(folder).is_dir()]
        if missing or not folders:
            raise SchemaError(reason=f"[schema] scripts has no directory {', '.join(missing)}".rstrip())
        directory = ScriptDirectory(folders[0], version_locations=folders)
        found = [script.module for script in directory.walk_revisions("base", "head")]
    except (CommandError, ImportError) as error:
        raise SchemaError(reason=f"[schema] scripts = {', '.join(scripts)}: {error}") from error
    if not found:
        raise SchemaError(reason=f"[schema] scripts = {', '.join(scripts)}: no revision script is there")
    return [
        Release(
            module.revision,
            getattr(module, "expand", _nothing),
            getattr(module, "contract", _nothing),
            tuple(getattr(module, "mirrors", ())),
        )
        for module in reversed(found)
    ]


def _nothing() -> None:
    """Change nothing."""
