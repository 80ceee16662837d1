"""Run the demonstration: `python -m examples.fleet --help`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click

from examples.fleet.cloud import Cloud, CloudError
from examples.fleet.customers import Customers
from examples.fleet.story import Story
from examples.fleet.wire import Wire
from rome.testing.servers import RedisServer, own_valkey_server

RABBITMQ = "rabbit://guest:guest@127.0.0.1:5672/"
"""The server that is looked for."""


@click.command()
@click.option("--store", type=click.Choice(["file", "redis"]), default="file", show_default=True, help="The database.")
@click.option("--direct/--rpc", default=False, show_default=True, help="Without or with a conductor for the database.")
@click.option("--short", is_flag=True, help="Upgrade once, do not go back.")
@click.option("--count", default=2, show_default=True, help="How many instances a customer makes in each step.")
@click.option("--broker", default="any", show_default=True,
              help="valkey, the transport_url of RabbitMQ, or any: RabbitMQ if it runs on this machine.")  # fmt: skip
@click.option("--keep", is_flag=True, help="Keep the logs of the processes, and print where they are.")
def main(store: str, direct: bool, short: bool, count: int, broker: str, keep: bool) -> None:
    """Upgrade a small cloud from one release to another, while customers use it."""
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are stopped
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="fleet-"))
        if not keep:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = stack.enter_context(own_valkey_server())
        if broker == "any":
            broker = RABBITMQ if _is_open(RABBITMQ) else "valkey"
        transport = f"kombu+valkey://{server.host}:{server.port}/0" if broker == "valkey" else broker
        database = server.url("fleet") if store == "redis" else f"rome+file://{folder}/fleet.rome"
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=100))
        cloud = Cloud(folder, database, transport, direct, f"fleet-{os.getpid()}-", listener)
        stack.callback(cloud.stop)
        wire = stack.enter_context(_wire(server)) if broker == "valkey" else None
        customers = Customers(listener.getsockname()[1])
        story = Story(cloud, customers, click.echo, count)
        try:
            first = cloud.schema("v1", "expand")
            if first.returncode:
                raise CloudError(first.stderr)
            story.tell(short)
        except CloudError as error:
            raise click.ClickException(str(error)) from error
        finally:
            if keep:
                click.echo(f"logs: {folder}")
        _summarize(story, wire, time.monotonic() - begun)
    sys.exit(story.failed)


def _summarize(story: Story, wire: Wire | None, seconds: float) -> None:
    customers = story.customers
    broker = "RabbitMQ" if wire is None else "Valkey"
    click.echo(f"\n{customers.requests} requests, {len(customers.errors)} errors")
    click.echo(f"{story.cloud.starts} processes started, messages by {broker}, {seconds:.0f} s")
    for line in story.migrated:
        click.echo(f"migration of {line}")
    if wire is not None:
        versions = ", ".join(f"{name}: {count}" for name, count in sorted(wire.versions.items()))
        click.echo(f"versions on the wire: {versions}")


def _is_open(url: str) -> bool:
    """Return whether a server accepts connections at the address of a URL."""
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def _wire(server: RedisServer) -> Iterator[Wire]:
    wire = Wire(server.host, server.port)
    try:
        yield wire
    finally:
        wire.close()


if __name__ == "__main__":
    main()
