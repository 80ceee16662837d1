"""`rome console`: the options; starts the server."""

from __future__ import annotations

import secrets
from importlib.util import find_spec

import click

from rome.cli.failures import CommandFailure
from rome.cli.options import DatabaseURL, json_option
from rome.forks import import_module

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command()
@click.argument("urls", metavar="URL...", nargs=-1, required=True, type=DatabaseURL(), envvar="ROME_URL")
@click.option("--port", type=click.IntRange(0, 65535), default=8021, show_default=True, help="0: a free port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--write", is_flag=True, help="Allow statements that change rows and the schema.")
@click.option("--token", envvar="ROME_CONSOLE_TOKEN", help="The token of the console.  [default: a new one]")
@json_option
def console(urls: tuple[str, ...], port: int, host: str, write: bool, token: str | None, as_json: bool) -> None:
    """Serve pages about databases: rows, schema, plans, commits, statements, storage.

    The pages can only be seen with the token, which is in the address that is printed. Without --write nothing can be
    changed. Without --host, only this machine can reach the server; it speaks HTTP, so put a proxy with TLS before it
    for others. With --json, one line of JSON has the address and the token, as soon as the server listens.
    """
    missing = [name for name in ("starlette", "uvicorn", "jinja2") if find_spec(name) is None]
    if missing:
        raise CommandFailure(f"the console needs {', '.join(missing)}: pip install 'rome-db[console]'", "NotInstalled")
    if token is not None and len(token) < 16:
        raise click.UsageError("the token must have 16 characters at least, because whoever guesses it sees the data")
    if host not in _LOOPBACK:
        click.echo(f"Others can reach the console at {host}; what they send and see is not encrypted.", err=True)
    server = import_module("rome.cli.console.server")
    server.serve(urls, host, port, token or secrets.token_urlsafe(24), write, as_json)
