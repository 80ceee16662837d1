"""The size becomes two numbers, `title` becomes `display_name`, and the table `events` becomes `actions`."""

import sqlalchemy as sa
from alembic import op

from examples.fleet.v2.models import Base
from rome_objects.schema.mirrors import Columns, Move

revision = "v2"
down_revision = "v1"


def expand() -> None:
    """Add the new columns and the new table."""
    for name in ("title", "size"):
        op.alter_column("instances", name, nullable=True)
    op.add_column("instances", sa.Column("display_name", sa.String(80)))
    for name in ("cores", "memory"):
        op.add_column("instances", sa.Column(name, sa.Integer))
    Base.metadata.create_all(op.get_bind())


mirrors = [
    Columns("instances", old={"title": "display_name"}, new={"display_name": "title"}),
    Columns(
        "instances",
        old={"size": "cores || 'x' || memory"},
        new={
            "cores": "CAST(substr(size, 1, instr(size, 'x') - 1) AS INTEGER)",
            "memory": "CAST(substr(size, instr(size, 'x') + 1) AS INTEGER)",
        },
    ),
    Move("events", "actions", {"id": "id", "instance_uuid": "instance_uuid", "at": "at", "text": "message"}),
]


def contract() -> None:
    """Drop what only the first release used."""
    for name in ("title", "size"):
        op.drop_column("instances", name)
    for name in ("display_name", "cores", "memory"):
        op.alter_column("instances", name, nullable=False)
    op.drop_table("events")
