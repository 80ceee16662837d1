"""Parse `rome+redis://` URLs: the database, its server, and how a socket to the server is opened.

A socket is TCP, TCP with TLS (`rome+rediss://`), or a Unix socket (`rome+unix://`). With the option `sentinel_service`
the URL names Sentinels, and each new socket goes to the primary that they know at that time. With `cluster=on` it names
nodes of a cluster (see `cluster`). With `read_from=replica` there is a second address, of the replicas (`replica_of`).
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - else the first connection imports it, and a fork may come in between
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from weakref import WeakKeyDictionary

from redis.exceptions import RedisError, ResponseError
from redis.sentinel import Sentinel

from rome.errors import InterfaceError
from rome.storage.redis.failures import Redirected
from rome.storage.redis.replicas.nearest import Nearest, Node
from rome.url import URL

OpenSocket = Callable[[], socket.socket]
HasMoved = Callable[[socket.socket], bool]
Follow = Callable[[ResponseError, socket.socket], None]

_LOOK_AFTER = 1.0

_PAUSES = (0.0, 0.05, 0.25, 1.0)
_PAUSES_OF_REPLICA = (0.0,)
"""The primary answers instead."""

OPTIONS = (
    "cluster",
    "connect_timeout",
    "database",
    "db",
    "lock_keys",
    "log_bytes",
    "log_commits",
    "nodes",
    "read_from",
    "replica",
    "replicas",
    "replicas_timeout",
    "sentinel_service",
    "sentinels",
    "socket_timeout",
    "ssl_ca_certs",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_keyfile",
    "staleness",
)


@dataclass(frozen=True)
class Address:
    """`server` is its name for messages; two addresses of one `server` and `db` see the same keys."""

    database: str
    server: str
    db: int
    user: str | None
    password: str | None = field(repr=False)
    open_socket: OpenSocket
    """Opens a socket to the server. Raise OSError, and what redis-py raises if Sentinels do not answer."""
    has_moved: HasMoved
    """Return True if Sentinels, or a cluster, know another primary than the one that a socket is connected to."""
    follow: Follow
    """Raise Redirected if an error that came from a socket says that another server has the database."""
    pauses: Callable[[], Iterator[float]]
    """Returns the seconds before each further attempt, after a connection broke."""
    nodes: tuple[Node, ...]
    """The nodes of a cluster that the URL names; none for a server."""
    open_node: Callable[[str, int], socket.socket]
    """Opens a socket to a node. Raise OSError."""
    look_after: float
    """Seconds without a reply after which `has_moved` is asked, again and again: the timeout of the sockets."""
    socket_timeout: float
    """Seconds without a reply after which a connection is given up."""
    log_commits: int
    log_bytes: int
    shares_locks: bool
    """True if named locks take the keys of python-redis-lock too."""
    replicas: int
    """The number of replicas that a commit waits for."""
    replicas_timeout: float
    """Seconds that it waits for them at most."""
    is_replica: bool
    """True if the server is a replica."""
    open_replica: OpenSocket | None
    """Opens a socket to the nearest replica, as `open_socket` does; None if the primary answers all reads."""
    staleness: float
    """Seconds by which answers of a replica may be late."""


@dataclass(frozen=True)
class _Timeouts:
    connect: float
    socket: float


def read_address(url: URL) -> Address:
    """Take a URL apart. Raise InterfaceError that names what is wrong with it. Connects to nothing."""
    socket_timeout = _seconds(url, "socket_timeout", 5.0)
    nodes = _nodes(url)
    look_after = min(_LOOK_AFTER, socket_timeout) if nodes or "sentinel_service" in url.options else socket_timeout
    timeouts = _Timeouts(_seconds(url, "connect_timeout", 5.0), look_after)
    tls = _tls(url)
    if url.store == "unix":
        server, open_socket = _unix_address(url, timeouts)
    else:
        server = host_port(url.host or "localhost", url.port or 6379)
        open_socket = partial(_open_tcp, url.host or "localhost", url.port or 6379, timeouts, tls)
    has_moved: HasMoved = _never
    follow: Follow = _follow_nothing
    open_node = partial(_open_tcp, timeouts=timeouts, tls=tls)
    sentinels = _Sentinels(url, timeouts, tls) if "sentinel_service" in url.options else None
    if sentinels is not None:
        open_socket, has_moved, follow = sentinels.open_socket, sentinels.have_another, sentinels.follow
        server = f"{url.options['sentinel_service']} (sentinels {server})"
    return Address(
        database=_database(url),
        server=server,
        db=_number(url, "db", 0, least=0),
        user=url.user,
        password=url.password,
        open_socket=open_socket,
        has_moved=has_moved,
        follow=follow,
        pauses=lambda: iter(_PAUSES),
        nodes=nodes,
        open_node=open_node,
        look_after=look_after,
        socket_timeout=socket_timeout,
        log_commits=_number(url, "log_commits", 10_000),
        log_bytes=_number(url, "log_bytes", 64 * 1024 * 1024),
        shares_locks=_choice(url, "lock_keys", ("rome", "python-redis-lock")) == "python-redis-lock",
        replicas=_number(url, "replicas", 0, least=0),
        replicas_timeout=_replicas_timeout(url, socket_timeout),
        is_replica=False,
        open_replica=_replica_opener(url, sentinels, nodes, open_node),
        staleness=_seconds(url, "staleness", 1.0),
    )


def replica_of(address: Address) -> Address:
    """Return the address of the replicas of one that has some."""
    assert address.open_replica is not None
    return replace(
        address,
        server=f"a replica of {address.server}",
        open_socket=address.open_replica,
        has_moved=_never,
        pauses=lambda: iter(_PAUSES_OF_REPLICA),
        replicas=0,
        is_replica=True,
        open_replica=None,
    )


def _replica_opener(
    url: URL, sentinels: _Sentinels | None, nodes: tuple[Node, ...], open_node: Callable[[str, int], socket.socket]
) -> OpenSocket | None:
    """Return a function that opens a socket to the nearest replica; None if reads go to the primary.

    `nodes`: of a cluster, which knows by itself which of them are replicas.
    """
    named = tuple(_hosts(url, "replica"))
    if _choice(url, "read_from", ("primary", "replica")) == "primary":
        if "replica" in url.options:
            raise InterfaceError(f"option 'replica' of the ROME URL {url} needs read_from=replica")
        return None
    if named and nodes:
        raise InterfaceError(f"option 'replica' of the ROME URL {url} can't be used with cluster=on: it knows them")
    if named or nodes:
        return Nearest(lambda: named or nodes, open_node).open_socket
    if sentinels is None:
        raise InterfaceError(
            f"option 'read_from' of the ROME URL {url} needs replica=host:port, or Sentinels or a cluster, which know "
            "the replicas"
        )
    return Nearest(sentinels.replicas, open_node).open_socket


def _database(url: URL) -> str:
    name = "" if url.store == "unix" else url.database
    option = url.options.get("database", "")
    if name and option and name != option:
        raise InterfaceError(f"the ROME URL {url} names two databases")
    if not name and not option:
        form = "rome+unix:///path.sock?database=NAME" if url.store == "unix" else f"rome+{url.store}://host:port/NAME"
        raise InterfaceError(f"the ROME URL {url} names no database; write {form}")
    return name or option


def _nodes(url: URL) -> tuple[Node, ...]:
    """Return the nodes of a cluster that a URL names. Raise InterfaceError for options that can't be used with it."""
    if _choice(url, "cluster", ("off", "on")) == "off":
        if "nodes" in url.options:
            raise InterfaceError(
                f"the ROME URL {url} names several hosts: for a cluster, add cluster=on; name Sentinels in the "
                "option sentinels"
            )
        return ()
    if url.store == "unix":
        raise InterfaceError(f"option 'cluster' of the ROME URL {url} needs hosts: rome+redis://a:7000,b:7000/NAME")
    for option in ("sentinel_service", "lock_keys"):
        if option in url.options:
            raise InterfaceError(f"option {option!r} of the ROME URL {url} can't be used with cluster=on")
    return ((url.host or "localhost", url.port or 6379), *_hosts(url, "nodes", 6379))


def _hosts(url: URL, option: str, port: int | None = None) -> Iterator[Node]:
    """Yield the hosts and ports that an option lists. `port`: of a host without one; None: each needs one."""
    for item in filter(None, url.options.get(option, "").split(",")):
        found = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]+)(?::(\d+))?", item)
        if found is None or not (found[2] or port):
            raise InterfaceError(f"option {option!r} of the ROME URL {url} is not host:port,host:port…: {item!r}")
        yield found[1].strip("[]"), int(found[2] or port or 0)


def host_port(host: str, port: int) -> str:
    """Return a host and a port as they are written."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _seconds(url: URL, option: str, default: float) -> float:
    text = url.options.get(option, str(default))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise InterfaceError(f"option {option!r} of the ROME URL {url} is not a number of seconds: {text!r}")
    return seconds


def _replicas_timeout(url: URL, socket_timeout: float) -> float:
    """Return the seconds that a commit waits for replicas. The server must reply to it within the socket's timeout."""
    seconds = _seconds(url, "replicas_timeout", min(1.0, socket_timeout / 2))
    if seconds >= socket_timeout:
        raise InterfaceError(
            f"option 'replicas_timeout' of the ROME URL {url} is not less than socket_timeout ({socket_timeout:g} s): "
            "lower it, or raise socket_timeout"
        )
    return seconds


def _number(url: URL, option: str, default: int, least: int = 1) -> int:
    text = url.options.get(option, str(default))
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise InterfaceError(f"option {option!r} of the ROME URL {url} is not a number of {least} or more: {text!r}")
    return int(text)


def _choice(url: URL, option: str, choices: Sequence[str]) -> str:
    """Return the value of an option; the first choice if the URL has none."""
    chosen = url.options.get(option, choices[0])
    if chosen not in choices:
        known = ", ".join(sorted(choices))
        raise InterfaceError(f"option {option!r} of the ROME URL {url} is not one of {known}: {chosen!r}")
    return chosen


# ── sockets ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Tls:
    """The options of TLS. Files are read for each connection, so that renewed certificates count at once."""

    verify: ssl.VerifyMode
    ca_certs: str | None
    certfile: str | None
    keyfile: str | None

    def wrap(self, opened: socket.socket, host: str) -> socket.socket:
        """Return a socket with TLS. Raise OSError, InterfaceError if the files can't be used."""
        return self._context().wrap_socket(opened, server_hostname=host)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.check_hostname = self.verify is not ssl.CERT_NONE
        context.verify_mode = self.verify
        option = "ssl_certfile"
        try:
            if self.certfile is not None:
                context.load_cert_chain(self.certfile, self.keyfile)
            option = "ssl_ca_certs"
            if self.ca_certs is not None:
                context.load_verify_locations(self.ca_certs)
        except OSError as error:
            files = (
                f"{self.certfile}, {self.keyfile or 'no ssl_keyfile'}" if option == "ssl_certfile" else self.ca_certs
            )
            raise InterfaceError(f"option {option!r} of the ROME URL can't be used: {files}: {error}") from error
        return context


_VERIFY = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
"""The values of the option `ssl_cert_reqs`, the default first."""


def _tls(url: URL) -> _Tls | None:
    """Return the options of TLS; None for a URL without TLS."""
    named = {name: value for name, value in url.options.items() if name.startswith("ssl_")}
    if url.store != "rediss":
        if named:
            raise InterfaceError(f"option {min(named)!r} of the ROME URL {url} is for rome+rediss:// only")
        return None
    verify = _VERIFY[_choice(url, "ssl_cert_reqs", tuple(_VERIFY))]
    certfile, keyfile = named.get("ssl_certfile"), named.get("ssl_keyfile")
    if keyfile is not None and certfile is None:
        raise InterfaceError(f"option 'ssl_keyfile' of the ROME URL {url} needs 'ssl_certfile'")
    return _Tls(verify, named.get("ssl_ca_certs"), certfile, keyfile)


def _open_tcp(host: str, port: int, timeouts: _Timeouts, tls: _Tls | None) -> socket.socket:
    opened = socket.create_connection((host, port), timeouts.connect)
    try:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if tls is not None:
            opened = tls.wrap(opened, host)
        opened.settimeout(timeouts.socket)
    except BaseException:
        opened.close()
        raise
    return opened


def _unix_address(url: URL, timeouts: _Timeouts) -> tuple[str, OpenSocket]:
    """Return the path of a Unix socket, and a function that opens it."""
    if url.host or not url.database:
        raise InterfaceError(f"the ROME URL {url} has no socket path; write rome+unix:///path.sock?database=NAME")
    path = "/" + url.database
    return path, partial(_open_unix, path, timeouts)


def _open_unix(path: str, timeouts: _Timeouts) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.settimeout(timeouts.connect)
        opened.connect(path)
        opened.settimeout(timeouts.socket)
    except BaseException:
        opened.close()
        raise
    return opened


def _follow_nothing(_error: ResponseError, _opened: socket.socket) -> None:
    return


def _never(_opened: socket.socket) -> bool:
    return False


class _Sentinels:
    """Opens sockets to the primary that Sentinels know at that time.

    The URL's host is one of the Sentinels, the option `sentinels` lists others.
    """

    def __init__(self, url: URL, timeouts: _Timeouts, tls: _Tls | None) -> None:
        if url.store == "unix":
            raise InterfaceError(f"option 'sentinel_service' of the ROME URL {url} needs a host")
        hosts = [(url.host or "localhost", url.port or 26379)]
        hosts += _hosts(url, "sentinels")
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
            hosts, socket_timeout=timeouts.socket, socket_connect_timeout=timeouts.connect
        )
        self._service = url.options["sentinel_service"]
        self._timeouts = timeouts
        self._tls = tls
        self._primaries: WeakKeyDictionary[socket.socket, tuple[str, int]] = WeakKeyDictionary()
        """The primary that each socket is connected to."""

    def open_socket(self) -> socket.socket:
        """Open a socket to the primary. Raise OSError, and what redis-py raises if the Sentinels do not answer."""
        host, port = self._primary()
        opened = _open_tcp(host, port, self._timeouts, self._tls)
        self._primaries[opened] = host, port
        return opened

    def have_another(self, opened: socket.socket) -> bool:
        """Return True if the Sentinels know another primary than the one that a socket is connected to."""
        try:
            return self._primary() != self._primaries[opened]
        except (OSError, RedisError):
            return False  # they know none, or do not answer

    def follow(self, error: ResponseError, _opened: socket.socket) -> None:
        """Raise Redirected if an error says that the server is a replica; ask another Sentinel next.

        Sentinels learn of a failover one after the other: the first may have named the former primary.
        """
        if str(error).startswith(("READONLY", "UNBLOCKED")):
            known = self._sentinel.sentinels
            known[:] = known[1:] + known[:1]
            raise Redirected(f"the server that a sentinel took for the primary is a replica: {error}")

    def replicas(self) -> Sequence[Node]:
        """Return the replicas that the Sentinels can reach. Raise as `open_socket` does."""
        found: Sequence[Node] = self._sentinel.discover_slaves(self._service)  # type: ignore[no-untyped-call]
        return found

    def _primary(self) -> tuple[str, int]:
        found: tuple[str, int] = self._sentinel.discover_master(self._service)  # type: ignore[no-untyped-call]
        return found
