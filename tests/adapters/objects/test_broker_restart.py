"""RabbitMQ restarts while calls are made: calls wait for it, and each is executed once."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rome_objects import errors
from tests.adapters.objects import rabbitmq_node
from tests.adapters.objects.cloud import CONTEXT, configured, create, has_begun, running, wait_until
from tests.adapters.objects.models import Server, ServerList

pytestmark = [
    pytest.mark.slow, pytest.mark.server, pytest.mark.rabbitmq,
    pytest.mark.skipif(rabbitmq_node.SCRIPT is None, reason="rabbitmq-server is not installed"),
]  # fmt: skip

CALLERS = 4


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = rabbitmq_node.Node(tmp_path_factory.mktemp("rabbitmq"))
    try:
        node.start()
        yield node
    finally:
        node.close()


@pytest.fixture(scope="module")
def programs(node, redis_server, tmp_path_factory):
    with running(node.address, redis_server, tmp_path_factory.mktemp("conductor")) as cloud:
        yield cloud


class Callers:
    """Threads that create servers until they are stopped: the names by outcome."""

    def __init__(self, prefix):
        self.created = []
        self.unanswered = []
        self.failed = []
        self._prefix = prefix
        self._stopped = threading.Event()

    def work(self, number):
        count = 0
        while not self._stopped.is_set():
            count += 1
            name = f"{self._prefix}{number}-{count}"
            try:
                self.created.append(create(name).name)
            except errors.Unanswered:
                self.unanswered.append(name)
            except Exception as error:
                self.failed.append((name, error))

    def stop(self):
        self._stopped.set()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart(conf, node, programs, tmp_path, how):
    """No call that was answered is lost, none is executed twice, and one that runs meanwhile gets its answer."""
    with configured(conf, programs) as set_options, ThreadPoolExecutor(CALLERS + 1) as pool:
        set_options(call_timeout=120)
        programs.start()
        server = create()
        callers = Callers(how.name)
        for number in range(CALLERS):
            pool.submit(callers.work, number)
        try:
            begun, finish = tmp_path / "begun", tmp_path / "finish"
            call = pool.submit(server.work, str(begun), str(finish))
            has_begun(begun)
            wait_until(lambda: len(callers.created) > CALLERS)
            node.stop(how)
            node.start()
            finish.touch()
            assert call.result(240) in programs.workers()
            count = len(callers.created)
            wait_until(lambda: len(callers.created) > count + 2 * CALLERS)
        finally:
            callers.stop()
        pool.shutdown()
        assert not callers.failed
        found = {found.name for found in ServerList.list(CONTEXT, {"name": {"like": f"{how.name}%"}})}
        assert set(callers.created) <= found <= {*callers.created, *callers.unanswered}
        assert len(callers.unanswered) <= CALLERS
        assert len(begun.read_text().splitlines()) == 1
        assert Server.get(CONTEXT, server.id).name == f"worked-{server.id}"
