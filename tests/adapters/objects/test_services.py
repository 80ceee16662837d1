"""Services: managers, drivers and state reports."""

import datetime as dt
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import oslo_messaging
import pytest
import sqlalchemy as sa

import rome
from rome_objects import database, errors
from rome_objects.conductor.workers import Worker
from rome_objects.messages import broker
from rome_objects.options import GROUP
from rome_objects.services import run
from rome_objects.services.client import ManagerClient
from rome_objects.services.drivers import load_driver
from rome_objects.services.manager import Manager
from rome_objects.services.options import SERVICE_GROUP
from rome_objects.services.reporter import Reporter
from rome_objects.services.service import Service
from rome_objects.services.state import is_up
from tests.adapters.objects import services
from tests.adapters.objects.conftest import BROKER
from tests.adapters.objects.models import Base, Server
from tests.adapters.objects.services import ComputeManager, Driver, Reporting

CONTEXT = {"user": "anna"}
IDENTITY = {"host": "h1", "binary": "compute", "topic": "compute", "release": "v1"}
NOW = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def configured(conf, place):
    """A function that sets options of the service; the broker is in this process."""
    oslo_messaging.get_rpc_transport(conf, BROKER)
    conf.set_override("transport_url", BROKER)
    conf.set_override("call_timeout", 20, GROUP)

    def set_options(**options):
        for name, value in options.items():
            conf.set_override(name, value, SERVICE_GROUP)
        return conf

    set_options(topic=f"compute-{place}", host="h1", manager=services.__name__, state="Reporting")
    yield set_options
    for option in conf[SERVICE_GROUP]:
        conf.clear_override(option, SERVICE_GROUP)
    conf.clear_override("transport_url")


@pytest.fixture
def service(configured):
    service = Service(
        configured(driver=f"{services.__name__}:FakeDriver", report_interval=0.02, binary="nova-compute", release="v1")
    )
    service.start()
    yield service
    service.stop()


def row():
    return Reporting.get_by(CONTEXT, host="h1", binary="nova-compute")


def test_a_service_runs_its_manager_and_reports(service, conf, place):
    server = Server(CONTEXT, name="web")
    server.create()
    client = ManagerClient(conf, service.topic, ComputeManager)
    answer = client.call(CONTEXT, "start_server", host="h1", server=server)
    assert (answer["said"], answer["user"], answer["server"].host) == ("web is on", "anna", "h1")
    assert Server.get(CONTEXT, server.id).host == "h1"
    with pytest.raises(errors.NotFound, match="no Server with id = 99") as caught:
        client.call(CONTEXT, "fail", key=99)
    assert type(caught.value) is errors.NotFound
    wait_until(lambda: row().report_count >= 3)
    found = row()
    assert (found.release, found.topic, found.is_up(60)) == ("v1", service.topic, True)
    client.cast(CONTEXT, "start_server", host="h1", server=Server.get(CONTEXT, server.id))


def test_only_declared_methods_are_called(service, conf):
    client = ManagerClient(conf, service.topic, ComputeManager)
    for method in ("secret", "start", "__init__", "nothing"):
        for send in (client.call, client.cast):
            with pytest.raises(errors.NotRemotable, match=f"ComputeManager.{method} is not remotable"):
                send(CONTEXT, method)

    class Pretender(ComputeManager):
        """A client that declares what the service does not."""

        def secret(self, context): ...

        secret.exposed = True

    with pytest.raises(oslo_messaging.RemoteError, match=r"UnsupportedVersion|NoSuchMethod|does not support"):
        ManagerClient(conf, service.topic, Pretender).call(CONTEXT, "secret")


def test_no_service(conf, configured):
    conf.set_override("call_timeout", 0.5, GROUP)
    with pytest.raises(errors.ServiceUnavailable, match=r"answered ComputeManager\.fail on topic nobody\.h7 within"):
        ManagerClient(conf, "nobody", ComputeManager).call(CONTEXT, "fail", host="h7", key=1)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (f"{services.__name__}:FakeDriver", "x is on"), (f"{services.__name__}:OtherDriver", "x is on elsewhere"),
        (services.__name__, "x is on"),
    ],
)  # fmt: skip
def test_drivers(place, said):
    assert load_driver("[service] driver", place, Driver).power_on("x") == said


def test_a_module_as_a_driver(monkeypatch):
    monkeypatch.delattr(services, "FakeDriver")
    assert load_driver("[service] driver", services.__name__, Driver).power_on("x") == "x is on here"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (f"{services.__name__}:UselessDriver", "the driver lacks power_on"), ("no.such.module", "No module named 'no'"),
        (f"{services.__name__}:Nothing", "no attribute"),
    ],
)  # fmt: skip
def test_drivers_that_do_not_work(place, message):
    with pytest.raises(errors.NotConfigured, match=rf"\[service\] driver = {place}: .*{message}"):
        load_driver("[service] driver", place, Driver)


def test_a_module_with_several_drivers(monkeypatch):
    monkeypatch.setattr(services, "Second", type("Second", (Driver,), {"__module__": services.__name__}), raising=False)
    with pytest.raises(errors.NotConfigured, match="the module has several drivers, FakeDriver, Second: name one"):
        load_driver("[service] driver", services.__name__, Driver)
    assert load_driver("[service] driver", services.__name__, object) is services


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topic": None}, r"set \[service\] topic"), ({"manager": None}, r"set \[service\] manager"),
        ({"manager": "rome_objects.services.state"}, "defines 0 subclasses of Manager: name one as MODULE:CLASS"),
        ({"state": "Server"}, "state = Server is no object that derives from ServiceState"),
        ({"state": "Nothing"}, r"name its module in \[objects\] modules"),
    ],
)  # fmt: skip
def test_a_service_that_is_not_configured(configured, options, message):
    with pytest.raises(errors.NotConfigured, match=message):
        Service(configured(**options))


def test_reports_are_counted_once(place):
    """A report that is repeated, or late, has no effect. A second run goes on with the number of the first."""
    reporter = Reporter(Reporting, CONTEXT, **IDENTITY)
    assert all(reporter.report() for _ in range(3))
    service = Reporting.get(CONTEXT, 1)
    before = service.updated_at
    for number in (3, 2):
        service.report(number)
        assert (service.report_count, service.updated_at) == (3, before)
    again = Reporter(Reporting, CONTEXT, **{**IDENTITY, "release": "v2"})
    assert again.report()
    service.refresh()
    assert (service.report_count, service.release) == (4, "v2")


def test_a_row_that_was_deleted_is_made_again(place):
    reporter = Reporter(Reporting, CONTEXT, **IDENTITY)
    reporter.report()
    Reporting.get(CONTEXT, 1).destroy()
    assert reporter.report()
    assert Reporting.get_by(CONTEXT, host="h1").report_count == 2


def test_two_starts_of_one_service(place):
    reporters = [Reporter(Reporting, CONTEXT, **IDENTITY) for _ in range(4)]
    threads = [threading.Thread(target=reporter.register) for reporter in reporters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reporter.report() for reporter in reporters] == [True] * 4
    assert Reporting.get_by(CONTEXT, **IDENTITY).report_count == 1


def test_reports_that_fail_are_logged_once(store, caplog):
    caplog.set_level(logging.INFO)
    reporter = Reporter(Reporting, CONTEXT, **IDENTITY)
    reporter.report()
    database.connect_to(None)
    assert [reporter.report(), reporter.report()] == [False, False]
    database.connect_to(store)
    assert reporter.report()
    said = [record.message for record in caplog.records if record.name == "rome_objects.services.reporter"]
    assert len(said) == 2
    assert "set [database] connection" in said[0]
    assert Reporting.get(CONTEXT, 1).report_count == 4


@pytest.mark.parametrize(
    ("age", "up"), [(None, False), (0, True), (60, True), (61, False), (-30, True), (-61, False), (10**6, False)]
)
def test_the_rule_by_which_a_service_is_up(age, up):
    reported = None if age is None else NOW - dt.timedelta(seconds=age)
    assert is_up(reported, 60, NOW) is up
    assert is_up(reported and reported.replace(tzinfo=None), 60, NOW) is up


def test_managers_without_drivers():
    manager = Manager("h1")
    manager.start()
    manager.stop()
    assert (manager.driver, manager.target.version) == (None, "1.0")


def test_a_conductor_with_a_release_reports(configured, place):
    conf = configured(release="v1", report_interval=0.02)
    conf.set_override("direct", True, GROUP)
    conf.set_override("topic", f"conductor-{place}-that-reports", GROUP)
    worker = Worker(1, conf)
    worker.run()
    found = Reporting.get_by(CONTEXT, host="h1", binary="rome-conductor")
    assert (found.release, found.is_up(60)) == ("v1", True)
    worker.terminate()


def test_the_program_without_a_configuration(conf, capsys):
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert run.run([]) == 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert "rome-service: set [service] topic" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.server
def test_the_program(conf, redis_server, tmp_path):
    """It reports and accepts calls until SIGTERM, over Valkey."""
    broker.register()
    name = f"service-{os.getpid()}-{time.monotonic_ns()}"
    address, url = f"kombu+valkey://{redis_server.host}:{redis_server.port}/0", redis_server.url(name)
    engine = sa.create_engine(url)
    Base.metadata.create_all(engine)
    file = tmp_path / "service.conf"
    file.write_text(
        f"[DEFAULT]\ntransport_url = {address}\n[database]\nconnection = {url}\n[objects]\nmodules = "
        f"{services.__name__}\n[service]\ntopic = {name}\nhost = h1\nmanager = {services.__name__}\n"
        f"driver = {services.__name__}:OtherDriver\nstate = Reporting\nreport_interval = 0.05\n"
    )
    command = [sys.executable, "-m", "rome_objects.services", "--config-file", str(file)]
    program = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    counts = sa.select(services.ReportModel.report_count).where(services.ReportModel.host == "h1")
    try:
        with engine.connect() as connection:
            wait_until(lambda: (connection.rollback() or connection.execute(counts).scalar() or 0) >= 3, 120)
        conf.set_override("connection", url, "database")
        oslo_messaging.get_rpc_transport(conf, address)
        conf.set_override("transport_url", address)
        client = ManagerClient(conf, name, ComputeManager)
        with pytest.raises(errors.NotFound):
            client.call(CONTEXT, "fail", host="h1", key=1)
    finally:
        conf.clear_override("transport_url")
        program.send_signal(signal.SIGTERM)
        assert program.wait(60) == 0
        engine.dispose()
        rome.drop_database(url)
