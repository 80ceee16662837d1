"""Import the fake service again for each test, because a port patches its module and an enginefacade starts once."""

import sys

import pytest

pytest.importorskip("oslo_db")

from oslo_config import cfg
from oslo_db import options

from rome_discovery.options import GROUP, OPTS

SERVICE = "tests.adapters.fake_service.api"
DISCOVERY = "tests.adapters.fake_discovery"


@pytest.fixture
def conf():
    """oslo.config's global configuration, without files."""
    cfg.CONF.register_opts(options.database_opts, "database")
    cfg.CONF.register_opts(OPTS, GROUP)
    cfg.CONF([], default_config_files=[], default_config_dirs=[])
    cfg.CONF.set_override("max_retries", 1, "database")
    cfg.CONF.set_override("retry_interval", 0, "database")
    yield cfg.CONF
    cfg.CONF.reset()
    for group in (GROUP, "database"):
        for option in cfg.CONF[group]:
            cfg.CONF.clear_override(option, group)


@pytest.fixture
def fresh():
    """Forget the service and its discovery module, before and after."""

    def forget():
        for name in (SERVICE, DISCOVERY):
            sys.modules.pop(name, None)
        package = sys.modules.get("tests.adapters.fake_service")
        if package:
            vars(package).pop("api", None)

    forget()
    yield
    forget()


@pytest.fixture
def api(conf, fresh):
    """The fake service's API, ported to a memory store with its tables, loaded as by `[database] backend`."""
    from oslo_db.api import DBAPI

    conf.set_override("connection", "rome+memory://", GROUP)
    api = DBAPI(DISCOVERY)
    api.Base.metadata.create_all(api.get_engine())
    yield api
    api.get_engine().dispose()
