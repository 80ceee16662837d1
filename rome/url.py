"""ROME URLs: the store, its server, the database and options.

    rome+memory:///NAME
    rome+file:///path/NAME     also rome:///path/NAME; rome+file://./NAME is a relative path
    rome+redis://[user:password@]host:port/DATABASE?db=0&isolation_level=SERIALIZABLE
    rome+redis://a:7000,b:7000/DATABASE?cluster=on      as rome+redis://a:7000/DATABASE?cluster=on&nodes=b:7000
    rome+rediss://…            TLS
    rome+unix:///path/to.sock?database=NAME

A `rome://` URL names the store by its option `store`. Without one it is Redis if there is a host, else a file, or
without a path a memory database.

    sqlite+rome://localhost:6379/DATABASE    as rome://…, for SQLAlchemy's dialect of the name `sqlite`
    sqlite+rome:///app.db                    a file, relative as in SQLite's URLs; with a fourth slash it is absolute
    rome+redis://…?dialect=sqlite            the same, for programs that take a text with `sqlite` for a path
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from rome.errors import InterfaceError

SQLITE_SCHEME = "sqlite+rome"
"""The scheme of URLs for SQLAlchemy's dialect whose name is `sqlite`."""

DIALECT = "dialect"
"""The option for the name of SQLAlchemy's dialect."""
DIALECTS = ("rome", "sqlite")

_SECRET = re.compile("(?:pass|pwd|secret|token|auth)", re.IGNORECASE)
"""In the name of an option: no store of ROME takes a secret there, but people try."""


@dataclass(frozen=True, repr=False)
class URL:
    """A parsed ROME URL. `options` are the parameters after the question mark.

    Its text and its repr hide the password, so that it can be quoted in messages.
    """

    store: str
    database: str = ""
    user: str | None = None
    password: str | None = None
    host: str | None = None
    port: int | None = None
    options: dict[str, str] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.store, self.database, self.user, self.host, self.port))

    def __str__(self) -> str:
        """Return the URL for messages, with its password hidden, and options that may be one."""
        login = ""
        if self.user or self.password:
            login = quote(self.user or "", safe="") + (":***" if self.password else "") + "@"
        port = f":{self.port}" if self.port else ""
        query = "&".join(
            f"{quote(k)}={'***' if _SECRET.search(k) else quote(v, safe='/:,')}" for k, v in self.options.items()
        )
        host = f"[{self.host}]" if self.host and ":" in self.host else self.host or ""
        return f"rome+{self.store}://{login}{host}{port}/{quote(self.database)}" + (f"?{query}" if query else "")

    def with_database(self, name: str) -> URL:
        """Return the URL of another database of the same store. `name`: as in a URL, the path of a file for files."""
        if self.store == "unix":
            return replace(self, options={**self.options, "database": name})
        return replace(self, database=name)

    def positive(self, name: str) -> int:
        """Return the number of an option that the URL has. Raise InterfaceError if it is not a positive number."""
        text = self.options[name]
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            raise InterfaceError(f"option {name!r} of the ROME URL {self} is not a positive number: {text!r}")
        return int(text)

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


def parse_url(text: str) -> URL:
    """Parse a ROME URL. Raise InterfaceError that names what is wrong with it."""
    parts = _split(with_one_host(text))
    if parts is None:
        raise InterfaceError(
            f"malformed ROME URL {_shown(text)!r}: write host:port, with a port from 0 to 65535, IPv6 addresses in "
            "brackets, and special characters of the user and the password percent-encoded"
        )
    is_named_sqlite = parts.scheme == SQLITE_SCHEME
    scheme, _, store = ("rome+" if is_named_sqlite else parts.scheme).partition("+")
    if scheme != "rome":
        raise InterfaceError(
            f"not a ROME URL: {_shown(text)!r}; write rome+STORE://…, for example rome+redis://localhost:6379/app"
        )
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in options:
            raise InterfaceError(f"the ROME URL has option {name!r} twice; remove one")
        options[name] = value
    if options.pop(DIALECT, DIALECTS[0]) not in DIALECTS:
        raise InterfaceError(f"option {DIALECT!r} of the ROME URL {_shown(text)!r} is none of {', '.join(DIALECTS)}")
    database = unquote(parts.path[1:])
    host = unquote(parts.hostname) if parts.hostname else None
    if is_named_sqlite and database == ":memory:":
        database = ""
    store = store or options.pop("store", _default_store(host, database))
    if is_named_sqlite and store == "file" and host is None and not database.startswith("/"):
        host = "."
    return URL(
        store=store,
        database=database,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        host=host,
        port=parts.port,
        options=options,
    )


def with_one_host(text: str) -> str:
    """Return a ROME URL whose further hosts are in the option `nodes`: SQLAlchemy's URLs have one host.

    Other texts are returned as they are.
    """
    found = re.fullmatch(r"((?:sqlite\+)?rome[^:/]*://(?:[^/?]*@)?[^/?,@]*),([^/?@]*)(/[^?]*)?(\?.*)?", text, re.DOTALL)
    if found is None:
        return text
    begin, others, path, query = found.groups()
    return f"{begin}{path or ''}{query + '&' if query else '?'}nodes={others}"


def _default_store(host: str | None, database: str) -> str:
    """Return the store of a URL that names none."""
    if host not in (None, "."):
        return "redis"
    return "file" if database else "memory"


def _split(text: str) -> SplitResult | None:
    """Return the parts of a URL; None if it is malformed. The reason that urlsplit gives may quote the password."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _shown(text: str) -> str:
    """Return a URL that may be malformed, without its login."""
    shown = re.sub(r"//.*@", "//***@", text, flags=re.DOTALL)
    return re.sub(rf"([?&][^=&]*{_SECRET.pattern}[^=&]*=)[^&]*", r"\1***", shown, flags=re.IGNORECASE)
