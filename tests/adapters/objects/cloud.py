"""Conductors as programs, and this process configured to call them."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import oslo_messaging
import sqlalchemy as sa

import rome
from rome_objects import process
from rome_objects.messages import broker
from rome_objects.options import GROUP
from tests.adapters.objects.models import Base, Server

CONTEXT = {"user": "anna"}
WORKERS = 2


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class Cloud:
    """A database, and conductors that are programs; `address` is the transport_url of their broker."""

    def __init__(self, address, url, topic, folder):
        self.address = address
        self.url = url
        self.topic = topic
        self.program = None
        self.file = folder / "conductor.conf"
        self.file.write_text(
            f"[DEFAULT]\ntransport_url = {address}\n[database]\nconnection = {url}\n"
            f"[objects]\nmodules = {Base.__module__}\ntopic = {topic}\nworkers = {WORKERS}\n"
        )

    def start(self):
        """Start a conductor, unless one runs."""
        if self.program is not None and self.program.poll() is None:
            return self.program
        command = [sys.executable, "-m", "rome_objects.conductor", "--config-file", str(self.file)]
        self.program = program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        program.log = []
        threading.Thread(target=lambda: program.log.extend(program.stderr), daemon=True).start()
        self.wait_for_workers(WORKERS)
        return program

    def stop(self):
        if self.program is not None:
            self.program.send_signal(signal.SIGTERM)
            self.program.wait(60)

    def wait_for_workers(self, started):
        """Wait until the program has started this number of workers altogether."""
        wait_until(lambda: sum("accepts calls" in line for line in list(self.program.log)) >= started)

    def workers(self):
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        found = [int(pid) for pid, parent in map(str.split, listed.splitlines()) if int(parent) == self.program.pid]
        assert len(found) == WORKERS
        return found


@contextmanager
def running(address, redis_server, folder):
    """A cloud with a database of its own; its conductor is stopped at the end."""
    broker.register()
    topic = f"conductor-{os.getpid()}-{time.monotonic_ns()}"
    url = redis_server.url(topic)
    engine = sa.create_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    cloud = Cloud(address, url, topic, folder)
    try:
        yield cloud
    finally:
        cloud.stop()
        rome.drop_database(url)


@contextmanager
def configured(conf, cloud):
    """This process calls the cloud's conductor. The result is a function that sets options."""
    oslo_messaging.get_rpc_transport(conf, cloud.address)
    conf.set_override("transport_url", cloud.address)

    def set_options(**options):
        for name, value in options.items():
            conf.set_override(name, value, GROUP)
        process.set_up(conf)

    set_options(direct=False, topic=cloud.topic, call_timeout=30, call_attempts=10)
    yield set_options
    conf.clear_override("transport_url")


def has_begun(file, times=1):
    """Wait until a method in a conductor has written to a file this number of times."""
    wait_until(lambda: file.exists() and len(file.read_text().splitlines()) >= times)


def create(name=None):
    server = Server(CONTEXT, name=name or f"s{time.monotonic_ns()}")
    server.create()
    return server
