"""A database and a conductor for each test. `place` runs a test twice: directly, and by RPC."""

import itertools

import pytest

pytest.importorskip("oslo_versionedobjects")

import oslo_messaging
from oslo_config import cfg

import rome
from rome_objects import database, process, remoting, serializer
from rome_objects.conductor.service import make_server
from rome_objects.options import GROUP, register_opts
from rome_objects.testing import registered_for_now
from tests.adapters.objects.models import Base

NUMBER = itertools.count()
BROKER = "kombu+memory://"
"""A broker within this process."""


@pytest.fixture
def conf():
    register_opts(cfg.CONF)
    cfg.CONF([], default_config_files=[], default_config_dirs=[])
    yield cfg.CONF
    cfg.CONF.reset()
    cfg.CONF.clear_override("connection", "database")
    cfg.CONF.clear_override("objects", "upgrade_levels")
    for option in cfg.CONF[GROUP]:
        cfg.CONF.clear_override(option, GROUP)
    remoting.call_directly()
    database.connect_to(None)
    serializer.pin({})


@pytest.fixture
def store(conf):
    """An empty database with the tables, to which this process connects."""
    url = f"rome+memory:///objects-{next(NUMBER)}"
    conf.set_override("connection", url, "database")
    process.set_up(conf)
    Base.metadata.create_all(database.engine())
    yield url
    database.dispose()
    rome.drop_database(url)


@pytest.fixture(scope="session")
def server():
    """A conductor in this process."""
    register_opts(cfg.CONF)
    cfg.CONF([], default_config_files=[], default_config_dirs=[])
    server = make_server(cfg.CONF, oslo_messaging.get_rpc_transport(cfg.CONF, BROKER), "conductor-1")
    server.start()
    yield server
    server.stop()
    server.wait()


@pytest.fixture
def conductor(conf, store, server):
    """A conductor that can reach the store; the methods of objects go through it."""
    conf.set_override("direct", False, GROUP)
    conf.set_override("call_timeout", 20, GROUP)
    conf.set_override("transport_url", BROKER)
    process.set_up(conf)
    database.connect_to(store)
    yield server
    conf.clear_override("transport_url")


@pytest.fixture(params=["direct", "rpc"])
def place(request, store):
    if request.param == "rpc":
        request.getfixturevalue("conductor")
    return request.param


@pytest.fixture
def local_registry():
    with registered_for_now():
        yield


@pytest.fixture
def stats(store):
    """The counters of round trips of the store."""
    raw = database.engine().raw_connection()
    yield raw.driver_connection.stats
    raw.close()
