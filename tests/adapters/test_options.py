"""Invalid configurations: the errors name the option and say what to do."""

import importlib
from io import StringIO
from pathlib import Path

import pytest
from oslo_config import cfg, generator
from oslo_db import exception

import rome_discovery
from rome_discovery.errors import OptionError, StoreDown
from rome_discovery.options import read_settings
from tests.adapters.conftest import DISCOVERY


@pytest.mark.parametrize("name", ["rome_discovery.sinder.api", "rome_discovery.cinder.apis"])
def test_a_misspelt_backend_name(name):
    from oslo_db.api import DBAPI

    with pytest.raises(ModuleNotFoundError, match=rf"No module named '{name.removesuffix('.api')}'"):
        DBAPI(name)


def test_a_backend_name_without_the_module():
    from oslo_db.api import DBAPI

    with pytest.raises(AttributeError, match=r"the discovery module, .* is rome_discovery\.cinder\.api"):
        DBAPI("rome_discovery.cinder")


@pytest.mark.parametrize("service", ["cinder", "glance", "nova"])
def test_a_discovery_module_without_its_service(service):
    if importlib.util.find_spec(service):
        pytest.skip(f"{service} is installed here")
    with pytest.raises(ModuleNotFoundError, match=f"pip install {service}"):
        importlib.import_module(f"rome_discovery.{service}.api")


def test_a_missing_option(conf):
    with pytest.raises(OptionError, match=r"\[discovery\] connection is not set: write `connection = rome\+redis"):
        read_settings(conf)


def test_the_services_own_option_is_used_if_it_is_a_rome_url(conf):
    conf.set_override("connection", "rome+memory:///app", "database")
    assert read_settings(conf).url == "rome+memory:///app"
    conf.set_override("connection", "sqlite://", "database")
    with pytest.raises(OptionError, match="is not set"):
        read_settings(conf)


def test_the_services_own_option_is_used_before_the_service_reads_it(tmp_path):
    """A service whose API creates its engine for the first request has not registered oslo.db's options before."""
    file = tmp_path / "service.conf"
    file.write_text("[database]\nconnection = rome+memory:///app\n")
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[str(file)], default_config_dirs=[])
    assert read_settings(conf).url == "rome+memory:///app"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://localhost/app", "not a ROME URL"),
        ("rome+rediss-cluster://localhost/app", "unknown store"),
        ("rome+memory:///app?isolation=SERIALIZABLE", "unknown option 'isolation'"),
        ("rome+redis://localhost:port/app", "malformed ROME URL"),
    ],
)
def test_an_invalid_url(conf, url, message):
    conf.set_override("connection", url, "discovery")
    with pytest.raises(OptionError, match=rf"\[discovery\] connection .*{message}"):
        read_settings(conf)


def test_an_option_in_two_places(conf):
    conf.set_override("connection", "rome+memory:///app?foreign_keys=off", "discovery")
    conf.set_override("foreign_keys", True, "discovery")
    with pytest.raises(OptionError, match=r"foreign_keys is set both in \[discovery\] connection and"):
        read_settings(conf)


def test_a_password_is_kept(conf):
    conf.set_override("connection", "rome+redis://nova:p%40ss@localhost/app", "discovery")
    conf.set_override("isolation_level", "SNAPSHOT", "discovery")
    assert read_settings(conf).url == "rome+redis://nova:p%40ss@localhost/app?isolation_level=SNAPSHOT"


def test_a_store_that_is_down(conf, fresh, caplog):
    conf.set_override("connection", "rome+redis://127.0.0.1:9/app", "discovery")
    conf.set_override("max_retries", 2, "database")
    with pytest.raises(StoreDown, match=r"\[discovery\] connection .*127\.0\.0\.1:9.* max_retries") as caught:
        importlib.import_module(DISCOVERY).get_engine()
    assert isinstance(caught.value, exception.DBConnectionError)
    assert sum("attempts left" in record.getMessage() for record in caplog.records) == 2


def test_a_store_that_comes_up_after_the_service(conf, fresh):
    conf.set_override("connection", "rome+redis://127.0.0.1:9/app", "discovery")
    api = importlib.import_module(DISCOVERY)
    with pytest.raises(StoreDown):
        api.get_engine()
    conf.set_override("connection", "rome+memory://", "discovery")
    with api.get_engine().connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_the_sample_is_what_the_generator_writes():
    sample = Path(rome_discovery.__file__).with_name("discovery.conf.sample")
    assert sample.read_text(encoding="utf-8") == generated()


def generated():
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    generator.register_cli_opts(conf)
    conf.set_override("namespace", ["rome.discovery"])
    out = StringIO()
    generator.generate(conf, out)
    return out.getvalue()
