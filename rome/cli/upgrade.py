"""`rome upgrade`: bring a database that an older ROME wrote to the format of this one."""

from __future__ import annotations

import click

from rome.cli.options import json_option, url_argument
from rome.cli.values import to_json
from rome.storage.registry import upgrade_store
from rome.storage.store import FORMAT
from rome.url import parse_url


@click.command()
@url_argument
@json_option
def upgrade(url: str, as_json: bool) -> None:
    """Bring a database that an older ROME wrote to the format of this one.

    Stop all clients first: older ones are refused afterwards, and transactions that are open can't go on. Rows and
    indexes are not touched.
    """
    number = upgrade_store(parse_url(url))
    if as_json:
        click.echo(to_json({"before": number, "format": FORMAT}))
    elif number == FORMAT:
        click.echo(f"the database has format {FORMAT} already")
    else:
        click.echo(f"the database had format {number}, and has format {FORMAT} now")
