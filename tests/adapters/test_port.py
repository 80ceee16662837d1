"""Port an unknown service with a few lines."""

import importlib
import importlib.util
import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest
from oslo_db import exception

from rome_discovery.errors import DiscoveryError, ServiceMissing
from rome_discovery.port import Port
from tests.adapters.conftest import DISCOVERY, SERVICE


def unported():
    """Load the service's module a second time, without the port."""
    spec = importlib.util.find_spec(SERVICE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call_concurrently(function):
    """Call a function in eight threads and return the results."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: function(), range(8)))


def test_the_api_is_the_services_own(api):
    own, ported = unported(), importlib.import_module(DISCOVERY)
    functions = inspect.getmembers(own, inspect.isfunction)
    assert len(functions) == 6
    for name, function in functions:
        assert inspect.signature(getattr(ported, name)) == inspect.signature(function), name
    assert ported is importlib.import_module(SERVICE)


def test_differences_are_listed_with_reasons(api):
    assert api.rome_port.differences == {
        "service_create": "no constraint keeps the host unique",
        "service_ensure": "concurrent callers",
        "service_update": "the service does not retry it",
    }


def test_it_runs_on_the_configured_database(api):
    assert api.get_engine().url.drivername == "rome+memory"
    for host in ("b", "a", "c"):
        api.service_create(api.Context(), {"host": host})
    page = api.service_get_all(api.Context(), sort_key="host", limit=2)
    assert [service.host for service in page] == ["a", "b"]
    assert [service.host for service in api.service_get_all(api.Context(), marker=1)] == ["a", "c"]


def test_options_become_those_of_the_connection(conf, fresh):
    conf.set_override("connection", "rome+memory://", "discovery")
    conf.set_override("isolation_level", "SERIALIZABLE", "discovery")
    conf.set_override("foreign_keys", False, "discovery")
    with importlib.import_module(DISCOVERY).get_engine().connect() as connection:
        assert connection.get_isolation_level() == "SERIALIZABLE"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 0


def test_the_services_own_configuration_does_not_override_the_url(conf, fresh):
    conf.set_override("connection", "rome+memory:///here", "discovery")
    conf.set_override("connection", "sqlite://", "database")
    conf.set_override("slave_connection", "sqlite://", "database")
    api = importlib.import_module(DISCOVERY)
    api.configure(conf)
    assert api.get_engine().url.database == "here"
    assert api.context_manager.reader.get_engine() is api.get_engine()


def test_once_creates_one_row(api):
    assert call_concurrently(lambda: api.service_create(api.Context(), {"host": "web-0"}).id) == [1] * 8
    assert len(api.service_get_all(api.Context())) == 1


def test_once_in_independent_transactions_within_callers_transactions(api):
    def ensure():
        context = api.Context()
        with api.context_manager.writer.using(context) as session:
            session.query(api.Service).count()
            return api.service_ensure(context, "web-0")

    assert call_concurrently(ensure) == [1] * 8
    assert len(api.service_get_all(api.Context())) == 1


def test_again_retries_after_a_conflict(api):
    service = api.service_create(api.Context(), {"host": "web-0"})
    attempts = []

    def seen():
        attempts.append(None)
        if len(attempts) == 1:
            api.service_update(api.Context(), service.id, {"reports": 10})

    assert api.service_update(api.Context(), service.id, {"reports": 1, "seen": seen}) == 11
    assert len(attempts) == 2


def test_again_does_not_retry_in_a_callers_transaction(api):
    service = api.service_create(api.Context(), {"host": "web-0"})
    context, attempts = api.Context(), []

    def seen():
        attempts.append(None)
        api.service_update(api.Context(), service.id, {"reports": 10})

    with pytest.raises(exception.DBDeadlock), api.context_manager.writer.using(context):
        api.service_update(context, service.id, {"reports": 1, "seen": seen})
    assert len(attempts) == 1
    assert api.service_get_all(api.Context())[0].report_count == 10


def test_a_service_that_is_not_installed():
    with pytest.raises(ServiceMissing, match=r"pip install nowhere.* option"):
        Port("nowhere", ["nowhere.db.api", "nowhere.db.sqlalchemy.api"])


def test_a_service_without_the_transaction_context(fresh):
    with pytest.raises(DiscoveryError, match="has no main_context_manager"):
        Port("fake-service", [SERVICE], ["main_context_manager"]).install("tests.adapters.nowhere")


def test_a_discovery_module_that_comes_too_late(conf, fresh):
    service = importlib.import_module(SERVICE)
    conf.set_override("connection", "sqlite://", "database")
    service.get_engine()
    with pytest.raises(DiscoveryError, match="before the first transaction"):
        importlib.import_module(DISCOVERY)
