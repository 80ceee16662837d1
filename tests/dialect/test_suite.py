"""SQLAlchemy's tests for dialects.

Two of them use a second schema without a requirement for it. They are overridden to use only the default schema. One
knows the cursors of SQLAlchemy's own dialects only.
"""

from sqlalchemy import MetaData, inspect, testing
from sqlalchemy.testing import suite
from sqlalchemy.testing.suite import *  # noqa: F403


class ComponentReflectionTest(suite.ComponentReflectionTest):
    @testing.combinations(True, False, argnames="views")
    def test_metadata(self, connection, views):
        metadata = MetaData()
        metadata.reflect(connection, views=views, resolve_fks=False)
        inspector = inspect(connection)
        names = inspector.get_table_names() + (inspector.get_view_names() if views else [])
        testing.eq_(sorted(metadata.tables), sorted(names))


class ComponentReflectionTestExtra(suite.ComponentReflectionTestExtra):
    @testing.fixture
    def use_schema_fixture(self):
        return None


class ServerSideCursorsTest(suite.ServerSideCursorsTest):
    def _is_server_side(self, cursor):
        return cursor.server_side
