"""The registry of stores, and the errors for unknown names and options."""

import importlib.metadata

import pytest

from rome.errors import InterfaceError
from rome.storage import registry
from rome.storage.memory import MemoryStore
from rome.url import parse_url


def open_fancy(url):
    return f"the fancy store {url.database}"


def test_a_store_that_comes_with_rome():
    assert isinstance(registry.open_store(parse_url("rome+memory:///registry")), MemoryStore)


def test_a_store_of_another_package(monkeypatch):
    point = importlib.metadata.EntryPoint("fancy", f"{__name__}:open_fancy", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "rome.stores" else [])
    url = parse_url("rome+fancy:///one")
    assert registry.open_store(url) == "the fancy store one"
    assert registry.store_options(url) == frozenset()
    with pytest.raises(InterfaceError, match="known are: fancy, file, memory, redis, rediss, unix"):
        registry.open_store(parse_url("rome+plain:///one"))


def test_the_error_for_an_unknown_store_lists_the_known_ones():
    with pytest.raises(InterfaceError, match=r"unknown store 'nosuch'.*memory.*redis"):
        registry.open_store(parse_url("rome+nosuch:///x"))


@pytest.mark.parametrize("store", ["redis", "rediss", "unix"])
def test_a_missing_package_comes_with_the_command_that_installs_it(monkeypatch, store):
    def import_module(name):
        raise ModuleNotFoundError("No module named 'hiredis'", name="hiredis")

    monkeypatch.setattr(registry, "import_module", import_module)
    with pytest.raises(InterfaceError, match=rf"'{store}' needs the package 'hiredis'.*pip install 'rome-db\[redis\]'"):
        registry.open_store(parse_url(f"rome+{store}://localhost/x"))


def test_options():
    url = parse_url("rome+memory:///x?log_commits=5&isolation_level=SERIALIZABLE")
    known = registry.store_options(url)
    assert known == {"log_commits", "log_bytes"}
    registry.check_options(url, known | {"isolation_level"})
    with pytest.raises(InterfaceError, match=r"unknown option 'isolation_level'.*it takes log_bytes, log_commits"):
        registry.check_options(url, known)
    with pytest.raises(InterfaceError, match="it takes none"):
        registry.check_options(url, ())
    with pytest.raises(InterfaceError, match="unknown option 'isolation_level'"):
        registry.open_store(url)
