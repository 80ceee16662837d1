"""A service that ROME has never heard of, ported with a few lines."""

import importlib
import importlib.util
import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest
from oslo_db import exception

from rome_discovery.errors import DiscoveryError, ServiceMissing
from rome_discovery.port import Port
from tests.adapters.conftest import DISCOVERY, SERVICE


def pristine():
    """The service's own module, beside the ported one."""
    spec = importlib.util.find_spec(SERVICE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def at_once(function):
    """What eight threads get when they call the function."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: function(), range(8)))


def test_the_api_is_the_services_own(api):
    own, ported = pristine(), importlib.import_module(DISCOVERY)
    functions = inspect.getmembers(own, inspect.isfunction)
    assert len(functions) == 6
    for name, function in functions:
        assert inspect.signature(getattr(ported, name)) == inspect.signature(function), name
    assert ported is importlib.import_module(SERVICE)


def test_what_differs_is_listed_with_its_reason(api):
    assert api.rome_port.differences == {
        "service_create": "no constraint keeps the host unique",
        "service_ensure": "all ask for it at once",
        "service_update": "nobody else runs it again",
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


def test_the_services_own_configuration_does_not_lead_elsewhere(conf, fresh):
    conf.set_override("connection", "rome+memory:///here", "discovery")
    conf.set_override("connection", "sqlite://", "database")
    conf.set_override("slave_connection", "sqlite://", "database")
    api = importlib.import_module(DISCOVERY)
    api.configure(conf)
    assert api.get_engine().url.database == "here"
    assert api.context_manager.reader.get_engine() is api.get_engine()


def test_what_is_created_once_has_one_row(api):
    assert at_once(lambda: api.service_create(api.Context(), {"host": "web-0"}).id) == [1] * 8
    assert len(api.service_get_all(api.Context())) == 1


def test_what_is_created_once_within_callers_transactions(api):
    def ensure():
        context = api.Context()
        with api.context_manager.writer.using(context) as session:
            session.query(api.Service).count()
            return api.service_ensure(context, "web-0")

    assert at_once(ensure) == [1] * 8
    assert len(api.service_get_all(api.Context())) == 1


def test_what_meets_another_update_is_run_again(api):
    service = api.service_create(api.Context(), {"host": "web-0"})
    attempts = []

    def seen():
        attempts.append(None)
        if len(attempts) == 1:
            api.service_update(api.Context(), service.id, {"reports": 10})

    assert api.service_update(api.Context(), service.id, {"reports": 1, "seen": seen}) == 11
    assert len(attempts) == 2


def test_within_a_callers_transaction_the_caller_runs_it_again(api):
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
