"""A column split in two, a column renamed, a table moved, and a column added."""

import sqlalchemy as sa
from alembic import op

from rome_objects.schema.mirrors import Columns, Move

revision = "v2"
down_revision = "v1"


def expand():
    for name in ("size", "title"):
        op.alter_column("instances", name, nullable=True)
    op.add_column("instances", sa.Column("cores", sa.Integer))
    op.add_column("instances", sa.Column("memory", sa.Integer))
    op.add_column("instances", sa.Column("display_name", sa.String(30)))
    op.create_index("ix_display_name", "instances", ["display_name"], unique=True)
    op.add_column("instances", sa.Column("note", sa.String(30)))
    op.create_table(
        "actions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("instance_id", sa.Integer, sa.ForeignKey("instances.id", ondelete="CASCADE"), nullable=False),
        sa.Column("message", sa.String(30), nullable=False),
    )
    op.create_table(
        "notes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("action_id", sa.Integer, sa.ForeignKey("actions.id", ondelete="CASCADE"), nullable=False),
    )


mirrors = [
    Columns(
        "instances",
        old={"size": "cores || 'x' || memory"},
        new={
            "cores": "CAST(substr(size, 1, instr(size, 'x') - 1) AS INTEGER)",
            "memory": "CAST(substr(size, instr(size, 'x') + 1) AS INTEGER)",
        },
    ),
    Columns("instances", old={"title": "display_name"}, new={"display_name": "title"}),
    Move("events", "actions", {"id": "id", "instance_id": "instance_id", "text": "message"}),
]


def contract():
    op.drop_column("instances", "size")
    with op.batch_alter_table("instances") as table:
        table.drop_column("title")
    op.alter_column("instances", "cores", nullable=False)
    op.drop_table("events")
