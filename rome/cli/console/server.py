"""The server of the console."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import click
import uvicorn

from rome.cli.console.app import make_app
from rome.cli.failures import CommandFailure
from rome.cli.opened import opened
from rome.cli.values import to_json


def serve(urls: Sequence[str], host: str, port: int, token: str, write: bool, as_json: bool) -> None:
    """Serve the console until Ctrl-C. Write its address as soon as it listens.

    Raise CommandFailure if the port is taken, FormatError.
    """
    for url in urls:
        with opened(url):
            pass  # it is a database
    app = make_app(urls, token, write=write, host=host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise CommandFailure(f"can't listen on {host} port {port}: {error.strerror}; --port names another") from error
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listening.getsockname()[1]}"
    if as_json:
        click.echo(to_json({"url": f"{address}/", "token": token}, indent=None))
    else:
        click.echo(f"{address}/?token={token}")
        click.echo("Ctrl-C ends the console.", err=True)
    config = uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run([listening])
