"""`rome locks`: the named locks and row locks that are held, by whom, and how long they last without a renewal."""

from __future__ import annotations

from typing import Any

import click

from rome.catalog.model import Catalog
from rome.cli.formats import write_rows
from rome.cli.opened import opened
from rome.cli.options import json_option, url_argument
from rome.cli.values import jsonable, printable, shown, to_json
from rome.errors import FormatError
from rome.storage.keys import decode
from rome.storage.lock_table import Holder
from rome.transaction.row_locks import row_of


@click.command()
@url_argument
@json_option
def locks(url: str, as_json: bool) -> None:
    """List the locks that are held.

    The owner is HOST:PID:NUMBER, of the process that holds the lock. A process that is alive renews its locks three
    times in their TTL. Nobody else can take a lock before its TTL has passed.
    """
    with opened(url) as database:
        found = [described(holder, database.catalog) for holder in database.store.lock_table().holders()]
    if as_json:
        click.echo(to_json(found))
    elif not found:
        click.echo("no locks are held")
    else:
        columns = ("lock", "owner", "seconds left")
        write_rows(columns, [(each["lock"], each["owner"], each["seconds left"]) for each in found])


def described(holder: Holder, catalog: Catalog) -> dict[str, Any]:
    """Return what a held name locks, for people (`lock`) and for programs."""
    owner = {"owner": printable(holder.owner.decode("utf-8", "replace")), "seconds left": round(holder.left, 1)}
    row = row_of(holder.name)
    if row is None:
        name = holder.name[1:].decode("utf-8", "replace")
        return {"lock": f"named {printable(name)}", "name": name, **owner}
    table_id, key = row
    table = catalog.by_id.get(table_id)
    name = f"table {table_id}, which is dropped" if table is None else table.name
    try:
        values = decode(key)
    except FormatError:
        values = (key,)
    text = ", ".join(map(shown, values))
    return {"lock": f"row ({text}) of {name}", "table": name, "key": [jsonable(value) for value in values], **owner}
