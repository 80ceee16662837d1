"""Conductors as processes, over Valkey and over RabbitMQ; brokers and conductors that die."""

import concurrent.futures
import os
import signal
import subprocess
import time
from urllib.parse import urlsplit

import oslo_messaging
import pytest

from rome.testing.servers import free_port
from rome.verify.faults.proxy import Proxy
from rome_objects import database, errors, process
from rome_objects.conductor.program import main
from rome_objects.messages import broker
from rome_objects.options import GROUP
from tests.adapters.objects.cloud import CONTEXT, WORKERS, configured, create, has_begun, running, wait_until
from tests.adapters.objects.models import Server, ServerList

pytestmark = [pytest.mark.slow, pytest.mark.server]

POOL = concurrent.futures.ThreadPoolExecutor(8)


@pytest.fixture(scope="module", params=["valkey", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def programs(request, redis_server, tmp_path_factory):
    """The programs, and a proxy between them and the broker."""
    if request.param == "rabbitmq":
        parts = urlsplit(request.getfixturevalue("rabbitmq"))
        target, template = parts.port or 5672, f"rabbit://{parts.username}:{parts.password}@127.0.0.1:%s{parts.path}"
    else:
        target, template = redis_server.port, "kombu+valkey://127.0.0.1:%s/0"
    folder = tmp_path_factory.mktemp("conductor")
    with Proxy(target) as proxy, running(template % proxy.port, redis_server, folder) as cloud:
        cloud.proxy = proxy
        yield cloud


@pytest.fixture
def cloud(conf, programs):
    """The programs, and this process configured to call them; `set` changes its options."""
    with configured(conf, programs) as set_options:
        programs.set = set_options
        yield programs


@pytest.fixture
def signals(tmp_path):
    """Two files: a method in a conductor writes the first when it has begun, and ends when the second exists."""
    return tmp_path / "begun", tmp_path / "finish"


def test_calls_through_two_workers(cloud):
    """Each call runs once; errors come back as they are; conflicts are retried in the conductor."""
    cloud.start()
    before = ServerList.count(CONTEXT)
    ids = list(POOL.map(lambda number: create(f"s{number}").id, range(12)))
    assert len(set(ids)) == 12  # each worker takes ids from a block of its own
    assert ServerList.count(CONTEXT) == before + 12
    with pytest.raises(errors.ConstraintViolated, match="UNIQUE") as caught:
        create("s3")
    assert type(caught.value) is errors.ConstraintViolated
    with pytest.raises(RuntimeError, match="not wanted"):
        Server.get(CONTEXT, ids[0]).rename("x", fail=True)
    list(POOL.map(lambda _: Server.get(CONTEXT, ids[0]).grow(), range(20)))
    assert Server.get(CONTEXT, ids[0]).cores == 21


def test_a_process_with_a_conductor_reaches_no_database(cloud, conf):
    """Not by an object, a connection or the engine, even if its configuration names one."""
    conf.set_override("connection", cloud.url, "database")
    cloud.set()
    for reach in (database.engine, database.connection, lambda: database.run(lambda _: database.connection(), Server)):
        with pytest.raises(errors.NotConfigured, match=r"no database|only within remotable methods"):
            reach()


def test_a_worker_that_is_killed(cloud, signals):
    """A call that only reads is repeated. One that writes is not, and nothing of it was written."""
    program = cloud.start()
    started = sum("accepts calls" in line for line in program.log)
    server = create()
    name = server.name
    cloud.set(call_timeout=2)
    call = POOL.submit(Server.read, CONTEXT, server.id, *map(str, signals))
    has_begun(signals[0])
    os.kill(int(signals[0].read_text().splitlines()[0]), signal.SIGKILL)
    signals[1].touch()
    assert call.result(60).name == name
    cloud.wait_for_workers(started + 1)
    signals[1].unlink()
    signals[0].unlink()
    call = POOL.submit(server.work, *map(str, signals))
    has_begun(signals[0])
    for pid in cloud.workers():
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(errors.ConductorUnavailable, match=r"answered Server\.work on topic .*read the object before"):
        call.result(60)
    assert (server.name, server.obj_what_changed()) == (name, set())
    cloud.wait_for_workers(started + 1 + WORKERS)
    assert Server.get(CONTEXT, server.id).name == name
    assert len(signals[0].read_text().splitlines()) == 1


def test_a_broker_that_is_away_for_a_while(cloud):
    """Calls that are made meanwhile wait for it; each is executed once."""
    cloud.start()
    first = create()
    target, cloud.proxy.target = cloud.proxy.target, free_port()
    cloud.proxy.cut_all()
    call = POOL.submit(lambda: [create(f"away{number}") for number in range(3)])
    time.sleep(1.5)
    cloud.proxy.target = target
    call.result(120)
    cloud.proxy.cut_all()
    create("last")
    found = ServerList.list(CONTEXT, {"id": {"gt": first.id}, "name": {"like": "%a%"}})
    assert sorted(server.name for server in found) == ["away0", "away1", "away2", "last"]


def test_a_conductor_that_stops_finishes_its_calls(cloud, signals):
    program = cloud.start()
    server = create()
    call = POOL.submit(server.work, *map(str, signals))
    has_begun(signals[0])
    program.send_signal(signal.SIGTERM)
    signals[1].touch()
    assert call.result(60) > 0
    assert program.wait(60) == 0
    cloud.start()
    assert Server.get(CONTEXT, server.id).name == server.name == f"worked-{server.id}"


def test_a_conductor_that_is_killed_is_replaced_by_another(cloud):
    program = cloud.start()
    server = create()
    workers = cloud.workers()
    program.kill()
    program.wait(60)
    wait_until(lambda: not any(is_running(pid) for pid in workers))
    cloud.start()
    assert Server.get(CONTEXT, server.id).name == server.name


def is_running(pid):
    ended = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(ended.stdout.strip()) and not ended.stdout.startswith("Z")


def test_no_conductor(cloud):
    cloud.set(call_timeout=1, topic=f"{cloud.topic}-nobody")
    with pytest.raises(errors.ConductorUnavailable, match=r"answered Server\.create on topic .* within 1\.0 s: start"):
        create()


def test_no_broker(conf):
    broker.register()
    address = f"kombu+valkey://127.0.0.1:{free_port()}/0"
    oslo_messaging.get_rpc_transport(conf, address)
    for name, value in {"direct": False, "call_timeout": 1}.items():
        conf.set_override(name, value, GROUP)
    conf.set_override("transport_url", address)
    process.set_up(conf)
    conf.clear_override("transport_url")
    with pytest.raises(errors.BrokerUnavailable, match=r"Server\.create was not sent to topic .* no connection within"):
        create()


@pytest.mark.rabbitmq
def test_a_broker_that_refuses_the_process(conf, rabbitmq):
    parts = urlsplit(rabbitmq)
    conf.set_override("transport_url", f"rabbit://{parts.username}:wrong@{parts.hostname}:{parts.port or 5672}/")
    conf.set_override("direct", False, GROUP)
    process.set_up(conf)
    with pytest.raises(errors.BrokerUnavailable, match=r"ACCESS_REFUSED.*Check that the broker of transport_url"):
        create()
    conf.clear_override("transport_url")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[objects]\nmodules = os\n", r"set [database] connection"),
        ("[database]\nconnection = rome+memory://\n", r"set [objects] modules"),
    ],
)
def test_a_conductor_that_is_not_configured(conf, capsys, tmp_path, text, message):
    file = tmp_path / "conductor.conf"
    file.write_text(text)
    assert main(["--config-file", str(file)]) == 1
    assert message in capsys.readouterr().err
