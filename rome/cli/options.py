"""The arguments and options that commands share.

A database is named by a ROME URL, or by the path of a file: `app.rome` is `rome+file:///…/app.rome`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import click
from click.shell_completion import CompletionItem

from rome.errors import InterfaceError
from rome.storage.file.tables import APPLICATION_ID
from rome.storage.registry import store_options
from rome.url import SQLITE_SCHEME, parse_url

if TYPE_CHECKING:
    _URLType = click.ParamType[str]
else:
    _URLType = click.ParamType  # it is not generic before click 8.4

_F = TypeVar("_F", bound=Callable[..., Any])

JSON = "--json"


class DatabaseURL(_URLType):
    """The URL of a ROME database, or the path of a file."""

    name = "url"

    def __init__(self, must_exist: bool = True) -> None:
        """`must_exist`: refuse the path of a file that does not exist, for a store would create it."""
        self._must_exist = must_exist

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return a ROME URL. Fail with a sentence if it is none, or if its store is not known."""
        text = as_rome_url(str(value))
        if not text.startswith(("rome", SQLITE_SCHEME)):
            self.fail("this is the URL of another database; copy it to ROME first, with `rome copy`", param, ctx)
        try:
            store_options(parse_url(text))
        except InterfaceError as error:
            self.fail(str(error), param, ctx)
        path = file_of(text)
        if self._must_exist and path is not None and not path.exists():
            self.fail(f"no such file: {path}", param, ctx)
        if path is not None and path.is_dir():
            self.fail(f"{path} is a directory; give the path of a file", param, ctx)
        if path is not None and is_plain_sqlite(path):
            copy = shlex.join(["rome", "copy", str(path), f"{path.stem}.rome"])
            self.fail(f"{path} is a database of SQLite; copy it to a database of ROME first: {copy}", param, ctx)
        return text

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete paths, and the beginnings of URLs."""
        beginnings = ("rome+redis://", "rome+rediss://", "rome+unix:///")
        found = [CompletionItem(each) for each in beginnings if incomplete and each.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


def as_rome_url(text: str) -> str:
    """Return the URL that a text names: the text itself, or that of the file store if it is a path."""
    if "://" in text or text.startswith(("rome:", "rome+", "sqlite:")):
        return text
    return f"rome+file://{quote(str(Path(text).expanduser().absolute()))}"


def file_of(url: str) -> Path | None:
    """Return the file that a ROME URL names; None for other stores."""
    if not url.startswith("rome+file:"):
        return None
    parts = urlsplit(url)
    return Path(unquote(parts.path.lstrip("/") if parts.netloc == "." else parts.path))


def is_plain_sqlite(path: Path) -> bool:
    """Return True for a file of SQLite that is not a database of ROME, which is also one."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:
        return False
    # https://www.sqlite.org/fileformat.html, section 1.3: the application id is at offset 68.
    return head.startswith(b"SQLite format 3\0") and int.from_bytes(head[68:72], "big") != APPLICATION_ID


url_argument = click.argument("url", type=DatabaseURL(), envvar="ROME_URL")
"""The database of a command; $ROME_URL if it is left out."""


def json_option(function: _F) -> _F:
    """Add the option --json: a decorator. The command gets it as `as_json`."""
    return click.option(JSON, "as_json", is_flag=True, help="Write JSON, errors too.")(function)
