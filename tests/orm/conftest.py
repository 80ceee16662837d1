"""Databases for the tests of `rome.orm`."""

import uuid

import pytest

import rome
from rome.orm import config, dispose_engines, engine_for
from tests.orm.models import Base


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch, tmp_path):
    """Hide this machine's configuration from the tests."""
    monkeypatch.delenv("ROME_URL", raising=False)
    monkeypatch.delenv("ROME_CONF", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    config._default_url.cache_clear()
    yield
    dispose_engines()


@pytest.fixture(params=["sqlite", "memory", pytest.param("redis", marks=pytest.mark.server)])
def url(request, monkeypatch, tmp_path):
    """The URL of an empty database with the tables of the models, which is also set in the environment.

    Except for conflicts, `rome.orm` does not depend on the database, so the tests also run on SQLite.
    """
    if request.param == "sqlite":
        yield from _database(f"sqlite:///{tmp_path}/facade.db", monkeypatch)
    else:
        yield from _rome_database(request, monkeypatch)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.server)])
def rome_url(request, monkeypatch):
    """The same, on ROME's stores only."""
    yield from _rome_database(request, monkeypatch)


def _rome_database(request, monkeypatch):
    name = f"orm-{uuid.uuid4().hex}"
    url = f"rome+memory:///{name}" if request.param == "memory" else request.getfixturevalue("redis_server").url(name)
    yield from _database(url, monkeypatch)
    rome.drop_database(url)


def _database(url, monkeypatch):
    monkeypatch.setenv("ROME_URL", url)
    Base.metadata.create_all(engine_for())
    yield url
    dispose_engines()
