"""Conductors as processes, with a broker and a store on a Valkey server."""

import concurrent.futures
import os
import signal
import subprocess
import sys
import threading
import time

import oslo_messaging
import pytest

import rome
from rome_objects import broker, database, errors, process
from rome_objects.options import GROUP
from tests.adapters.objects.models import Base, Server, ServerList

pytestmark = [pytest.mark.slow, pytest.mark.server]

CONTEXT = {"user": "anna"}
WORKERS = 2


@pytest.fixture
def cloud(conf, redis_server, tmp_path):
    """A configuration file for conductors; this process has no database."""
    database_name = f"conductor-{os.getpid()}-{time.monotonic_ns()}"
    url, address = redis_server.url(database_name), f"kombu+valkey://{redis_server.host}:{redis_server.port}/0"
    file = tmp_path / "conductor.conf"
    file.write_text(
        f"[DEFAULT]\ntransport_url = {address}\n[database]\nconnection = {url}\n"
        f"[objects]\nmodules = {Base.__module__}\ntopic = {database_name}\nworkers = {WORKERS}\n"
    )
    database.connect_to(url)
    Base.metadata.create_all(database.engine())
    broker.register()
    oslo_messaging.get_rpc_transport(conf, address)
    for name, value in {"direct": False, "topic": database_name, "call_timeout": 30}.items():
        conf.set_override(name, value, GROUP)
    conf.set_override("transport_url", address)
    process.set_up(conf)
    yield file
    conf.clear_override("transport_url")
    rome.drop_database(url)


@pytest.fixture
def start(cloud):
    started = []

    def run():
        command = [sys.executable, "-m", "rome_objects.conductor", "--config-file", str(cloud)]
        program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        started.append(program)
        ready = 0
        while ready < WORKERS and (line := program.stderr.readline()):
            ready += "accepts calls" in line
        assert ready == WORKERS
        threading.Thread(target=program.stderr.read, daemon=True).start()
        return program

    yield run
    for program in started:
        program.send_signal(signal.SIGTERM)
    for program in started:
        program.wait(60)
        program.stderr.close()


def test_calls_through_two_workers(start):
    start()

    def create(number):
        server = Server(CONTEXT, name=f"s{number}")
        server.create()
        return server.id

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(create, range(12)))
    assert len(set(ids)) == 12  # each worker takes ids from a block of its own
    assert ServerList.count(CONTEXT) == 12
    with pytest.raises(errors.ConstraintViolated):
        create(3)
    with pytest.raises(errors.NotConfigured, match=r"no database: set \[database\] connection"):
        database.engine()


def test_a_conductor_that_stops_finishes_its_calls(start):
    program = start()
    Server(CONTEXT, name="web").create()
    program.send_signal(signal.SIGTERM)
    assert program.wait(60) == 0


def test_no_conductor(cloud, conf):
    conf.set_override("call_timeout", 1, GROUP)
    process.set_up(conf)
    with pytest.raises(errors.ConductorUnavailable, match=r"answered Server\.create on topic .* within 1\.0 s: start"):
        Server(CONTEXT, name="web").create()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[objects]\nmodules = os\n", r"set [database] connection"),
        ("[database]\nconnection = rome+memory://\n", r"set [objects] modules"),
    ],
)
def test_a_conductor_that_is_not_configured(tmp_path, text, message):
    file = tmp_path / "conductor.conf"
    file.write_text(text)
    command = [sys.executable, "-m", "rome_objects.conductor", "--config-file", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert message in ended.stderr
