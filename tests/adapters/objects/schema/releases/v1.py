"""The first release."""

import sqlalchemy as sa
from alembic import op

revision = "v1"
down_revision = None


def expand():
    op.create_table(
        "instances",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String(30), nullable=False, unique=True),
        sa.Column("size", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20)),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("instance_id", sa.Integer, sa.ForeignKey("instances.id", ondelete="CASCADE"), nullable=False),
        sa.Column("text", sa.String(30), nullable=False),
    )
