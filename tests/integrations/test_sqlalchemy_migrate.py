"""ROME registers with sqlalchemy-migrate.

The package itself runs only on SQLAlchemy 1.4: `scripts/judge-server glance19` tests it.
"""

import sys
from types import ModuleType

import pytest
import sqlalchemy


@pytest.fixture
def dialects(monkeypatch):
    """The registry of sqlalchemy-migrate, in a program that has loaded it."""
    name = "migrate"
    parent = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, parent)
    for part in ("changeset", "databases", "visitor"):
        name = f"{name}.{part}"
        child = ModuleType(name)
        setattr(parent, part, child)
        monkeypatch.setitem(sys.modules, name, child)
        parent = child
    monkeypatch.delitem(sys.modules, "rome.integrations.sqlalchemy_migrate", raising=False)
    parent.DIALECTS = {"sqlite": object()}
    return parent.DIALECTS


def test_alter_table_is_that_of_sqlite(dialects):
    sqlalchemy.create_engine("rome+memory://")
    assert dialects["rome"] is dialects["sqlite"]
