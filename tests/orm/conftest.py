"""Databases for the facade's tests."""

import pytest

from rome.orm import dispose_engines, engine_for
from tests.orm.models import Base


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch, tmp_path):
    """Whatever this machine has configured does not reach the tests."""
    monkeypatch.delenv("ROME_URL", raising=False)
    monkeypatch.delenv("ROME_CONF", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    dispose_engines()


@pytest.fixture(params=["sqlite"])
def url(request, monkeypatch, tmp_path):
    """The URL of an empty database with the tables of the models, which is also the one in the environment."""
    url = f"sqlite:///{tmp_path}/facade.db"
    monkeypatch.setenv("ROME_URL", url)
    Base.metadata.create_all(engine_for())
    return url
