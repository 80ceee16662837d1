"""The tables of the first release."""

from alembic import op

from examples.fleet import services
from examples.fleet.v1.models import Base

revision = "v1"
down_revision = None


def expand() -> None:
    """Create all tables."""
    for base in (services.Base, Base):
        base.metadata.create_all(op.get_bind())
