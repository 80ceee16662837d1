"""`rome doctor`: the store and its settings, with their meaning."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import click

import rome
from rome.cache.known import bytes_of_row
from rome.cache.options import cache_options
from rome.catalog.model import Table
from rome.cli.failures import FAULTS
from rome.cli.opened import Opened, as_redis, opened
from rome.cli.options import json_option, url_argument
from rome.cli.values import printable, to_json
from rome.errors import StoreUnavailable
from rome.metrics.publisher import ProcessNote, read_notes
from rome.storage.store import FORMAT, LAST, Count, Range, Request, rows_space
from rome.testing.check.log import oldest_version

if TYPE_CHECKING:
    from rome.storage.redis.store import RedisStore

_SAMPLE = 100
"""Rows of a table whose size is looked at."""
_MARKS = {"ok": ("✓", "green"), "note": ("·", "cyan"), "bad": ("✗", "red")}


class Diagnosis(NamedTuple):
    """A property of the store: `ok`, a `note`, or `bad`."""

    verdict: str
    name: str
    value: str
    meaning: str = ""


@click.command()
@url_argument
@json_option
@click.pass_context
def doctor(ctx: click.Context, url: str, as_json: bool) -> None:
    """Examine the store: versions, latency, log, durability, eviction, replicas, permissions, clock.

    The exit code is 3 if a setting endangers the data.
    """
    with opened(url) as database:
        findings = [*_of_database(database)]
        findings += _of_cache(database)
        redis = as_redis(database.store)
        if redis is not None:
            findings += _of_redis(redis)
    if as_json:
        click.echo(to_json([finding._asdict() for finding in findings]))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            mark, colour = _MARKS[finding.verdict]
            meaning = f" – {finding.meaning}" if finding.meaning else ""
            click.echo(f"{click.style(mark, fg=colour)} {finding.name:{width}}  {printable(finding.value)}{meaning}")
    if any(finding.verdict == "bad" for finding in findings):
        ctx.exit(FAULTS)


def _of_database(database: Opened) -> Iterator[Diagnosis]:
    yield Diagnosis("ok", "ROME", f"{rome.__version__}, format {FORMAT}")
    yield Diagnosis(
        "ok", "database", f"{database.url}, version {database.version:,}, {len(database.catalog.tables)} tables"
    )
    times = []
    for _ in range(9):
        began = time.perf_counter()
        database.store.fetch([])
        times.append(time.perf_counter() - began)
    yield Diagnosis("ok", "round trip", f"{median(times) * 1000:.2f} ms (median of 9)")
    oldest = oldest_version(database.store, database.version)
    meaning = "transactions that began before it must run again"
    yield Diagnosis(
        "note", "log", f"{database.version - oldest:,} commits, oldest readable version {oldest:,}", meaning
    )


def _of_cache(database: Opened) -> Iterator[Diagnosis]:
    """Yield how far the cache of a URL with `staleness` reaches, and how it does in the processes that publish."""
    options = cache_options(database.url)
    if options is not None:
        bound = f"{options.most_bytes / 2**20:,.0f} MiB in each process"
        yield Diagnosis("ok", "cache", f"reads may be {options.staleness:g} s behind, {bound}")
        needed = sum(_bytes_of_rows(database, table) for table in database.catalog.tables.values())
        share = "all" if needed <= options.most_bytes else f"{options.most_bytes / needed:.0%}"
        size = f"about {needed / 2**20:,.1f} MiB for all rows, of which {share} fit"
        yield Diagnosis("ok" if share == "all" else "note", "reach of the cache", size)
    for note in _notes(database):
        hits, misses = note.counts.get("cache hits", 0), note.counts.get("cache misses", 0)
        if hits + misses:
            refused, replayed = note.counts.get("cache refusals", 0), note.counts.get("replays", 0)
            done = f"{hits / (hits + misses):.0%} of {hits + misses:,.0f} requests answered"
            yield Diagnosis(
                "note", f"cache of {note.name}", f"{done}, {refused:,.0f} commits refused, {replayed:,.0f} replayed"
            )


def _notes(database: Opened) -> Sequence[ProcessNote]:
    """Return what processes have published; nothing if the server refuses that, for a reason that others find."""
    try:
        return read_notes(database.store)
    except StoreUnavailable:
        return ()


def _bytes_of_rows(database: Opened, table: Table) -> float:
    """Return about how much memory a cache of all rows of a table needs: by their number, and the first of them."""
    space = rows_space(table.id)
    requests: list[Request] = [Count(space, ((b"", LAST),)), Range(space, limit=_SAMPLE)]
    count, sample = database.store.fetch(requests, database.version).answers
    sizes = [bytes_of_row(key, value) for key, value in sample]
    return int(count) * sum(sizes) / max(len(sizes), 1)


def _of_redis(store: RedisStore) -> Iterator[Diagnosis]:
    yield Diagnosis("note", "least permissions", store.least_rule, "of a user: ACL SETUSER NAME on >PASSWORD …")
    yield _permissions(store.lacking_permissions())
    began = time.time()
    info_reply, policy, append, fsync, save, now, user = store.ask_server(
        (b"INFO",),
        *((b"CONFIG", b"GET", name) for name in (b"maxmemory-policy", b"appendonly", b"appendfsync", b"save")),
        (b"TIME",),
        (b"ACL", b"WHOAMI"),
    )
    took = time.time() - began
    if isinstance(info_reply, Exception):
        yield Diagnosis("note", "server", f"INFO is refused: {info_reply}", "the user needs the command to be examined")
        return
    info = dict(line.split(":", 1) for line in info_reply.decode().splitlines() if ":" in line)
    product = "Valkey" if "valkey_version" in info else "Redis"
    if info.get("cluster_enabled") == "1":
        yield from _of_node(store)
    yield Diagnosis("ok", "server", f"{product} {info.get('valkey_version', info['redis_version'])}, {info['role']}")
    yield _eviction(_setting(policy), info)
    yield _durability(_setting(append), _setting(fsync), _setting(save))
    yield _replicas(int(info.get("connected_slaves", 0)), store.replicas)
    if info["role"] != "master":
        yield Diagnosis("bad", "role", info["role"], "a replica refuses commits; use the URL of the primary")
    yield Diagnosis("ok", "memory", f"{info['used_memory_human']}, limit {info.get('maxmemory_human', 'none')}")
    yield Diagnosis("ok", "clients", info["connected_clients"])
    yield _user(user)
    if isinstance(now, list):
        difference = int(now[0]) + int(now[1]) / 1e6 - began - took / 2
        verdict = "ok" if abs(difference) < 1 + took else "note"
        yield Diagnosis(verdict, "clock", f"{difference:+.3f} s from this machine's", "TTLs of locks use the server's")


def _of_node(store: RedisStore) -> Iterator[Diagnosis]:
    """Yield what a node says about its cluster and the slot of the database."""
    asked = store.ask_server((b"CLUSTER", b"INFO"), (b"CLUSTER", b"NODES"))
    if any(isinstance(reply, Exception) for reply in asked):
        yield Diagnosis("note", "cluster", "unknown", "the user may not ask")
        return
    info, nodes = (reply.decode().splitlines() for reply in asked)
    numbers = dict(line.split(":", 1) for line in info if ":" in line)
    state = f"{numbers['cluster_state']}, {numbers['cluster_slots_ok']} of 16384 slots, {len(nodes)} nodes"
    if numbers["cluster_state"] == "ok" and numbers["cluster_slots_ok"] == "16384":
        yield Diagnosis("ok", "cluster", state)
    else:
        meaning = "databases in the other slots can't be used: valkey-cli --cluster check HOST:PORT"
        yield Diagnosis("bad", "cluster", state, meaning)
    _, address, _, *rest = next(line for line in nodes if "myself" in line).split()
    moving = any(word.startswith(f"[{store.slot}-") for word in rest)
    meaning = "it is being moved; if that was interrupted: valkey-cli --cluster fix HOST:PORT" if moving else ""
    yield Diagnosis("note", "node", f"{address.partition('@')[0]}, slot {store.slot}", meaning)
    if not store.in_cluster:
        meaning = "add cluster=on to the URL, else nobody follows the database to another node"
        yield Diagnosis("note", "cluster=on", "missing", meaning)


def _replicas(connected: int, waited_for: int) -> Diagnosis:
    if connected < waited_for:
        return Diagnosis("bad", "replicas", str(connected), f"each commit waits for {waited_for}, and reports an error")
    if waited_for:
        return Diagnosis("ok", "replicas", str(connected), f"each commit waits for {waited_for} of them")
    meaning = "replication is asynchronous: a failover can lose the last commits" if connected else "no failover"
    return Diagnosis("note", "replicas", str(connected), meaning)


def _setting(reply: Any) -> str | None:
    """Return a setting; None if the user may not read it."""
    return reply[1].decode() if isinstance(reply, list) and len(reply) == 2 else None


def _eviction(policy: str | None, info: dict[str, str]) -> Diagnosis:
    policy = policy or info.get("maxmemory_policy")
    if policy is None:
        return Diagnosis("note", "maxmemory-policy", "unknown", "it must be noeviction")
    if policy == "noeviction":
        return Diagnosis("ok", "maxmemory-policy", policy, "a full server refuses commits and loses nothing")
    if int(info.get("evicted_keys", 0)):
        number = f"{int(info['evicted_keys']):,} keys evicted"
        return Diagnosis("bad", "maxmemory-policy", f"{policy}, {number}", "set noeviction, and run `rome check`")
    return Diagnosis("bad", "maxmemory-policy", policy, "a full server evicts parts of the database; set noeviction")


def _durability(append: str | None, fsync: str | None, save: str | None) -> Diagnosis:
    if append is None:
        return Diagnosis("note", "durability", "unknown", "the user may not read the settings")
    if append != "yes":
        if save:
            return Diagnosis(
                "note", "durability", f"snapshots ({save})", "a crash loses all commits since the last one"
            )
        return Diagnosis("bad", "durability", "none", "a restart loses everything; set appendonly yes")
    if fsync == "always":
        return Diagnosis("ok", "durability", "appendonly, appendfsync always", "a commit is on disk when it returns")
    return Diagnosis("note", "durability", f"appendonly, appendfsync {fsync}", "a crash can lose the last second(s)")


def _permissions(lacking: list[str] | None) -> Diagnosis:
    if lacking is None:
        return Diagnosis("note", "permissions", "unknown", "the server is too old to tell them")
    if lacking:
        meaning = "statements or commits will be refused; give the user the least permissions"
        return Diagnosis("bad", "permissions", f"lacking: {', '.join(lacking)}", meaning)
    return Diagnosis("ok", "permissions", "all that statements, transactions and locks need")


def _user(user: Any) -> Diagnosis:
    if isinstance(user, bytes):
        return Diagnosis("ok", "user", user.decode("utf-8", "replace"))
    return Diagnosis("note", "user", "unknown", "the user may not ask")
