"""The store on one Redis (6.2 or newer) or Valkey server. Each fetch and each commit is one round trip.

Modules
    `address` parses URLs and opens sockets, `cluster` those to the right node of a cluster; `connection` pools them,
    sends rounds of commands and runs scripts;
    `layout` names the keys of a database; `reads` packs the rounds of fetches, `parts` completes large answers, `past`
    reads the log; `writes` packs batches for commit.lua, `pieces` large ones, `commits` sends them; `store` implements
    the contract, `copying` its copies, `locks` the lock table; `replicas` waits for replicas, and lets them answer
    fetches; `presence` notices evicted keys, `failures` makes ROME's errors.

Layout
    A space of values is a hash, with a sorted set of its keys for their order; a space of entries is a sorted set. All
    scores are 0, so Redis sorts the members byte by byte, and ZRANGE BYLEX is a key range. Other layouts were measured
    (benchmarks/layouts.py; 20,000 rows of 244 bytes, each in an index four times, Valkey 9.1, in brackets Redis 7.0
    where it differs much; two busy cores, so only ratios count):

                                          hash and sets   string a row, SORT   rows in a sorted set
        memory, bytes a row                  669 (912)          851 (1353)          627 (845)
        commands to insert, to update           3, 1               7, 1                2, 2
        insert, µs a row                          11                 19                  10
        get 1 / 100 / 1000 rows, µs    74 / 110 / 450     74 / 125 / 590     80 / 370 / 2900
        lookup 1 / 100 / 1000 rows, µs 83 / 190 / 980     77 / 120 / 510     92 / 340 / 2800
        lookup in two native rounds    145 / 215 / 850                  -                  -

    Strings with a set for each index value and SORT … BY nosort GET … halve the time of large lookups, in native
    commands. But sets only answer equality of all columns and have no order, so ranges, prefixes, limits and ORDER BY
    would still need the script, for a quarter to a half more memory and twice the work of each write. Rows inside of
    the sorted set are small and fast to scan, but a row by its key is a range of its own. A lookup by the script
    (rows.lua) takes one round trip less than two native rounds: faster up to hundreds of rows even on one machine, and
    always with a network between.

Reads
    A MULTI of the database's state (from the meta hash), the requests and, at an older version, the log since then of
    the spaces that are read: all of it is from one version. The client undoes the log (`rome.storage.undo`). A MULTI
    takes no more time than two reads of the version around the requests, and never needs a second attempt.

Log
    A stream for each space, whose ids are the versions, so that a reader gets what concerns its spaces, in one command
    each. An entry has the written keys, and their old and new values if these are small; other values are in a second
    stream, because most readers need only the keys: 3,000 commits of 200 rows take 4 MB of keys and 20 MB of values.
    Keys, old values and new values are msgpack arrays, which the server packs in C, or has from the client as they are.

Commits
    One script (commit.lua) checks everything that can be refused before its first write, because a script that fails
    halfway is not rolled back. A check is first compared with the version that last wrote to its space; only if that is
    newer is the log of the space since then read. If the log is longer than `log_commits` (by a hundredth, at most 64)
    or `log_bytes`, a commit removes up to 64 of the oldest entries, with their tokens and the spaces that they dropped.
    A large commit is done in pieces (`pieces`).

    A script's cost is the strings that it is given and makes, and the commands that it sends. So the state of the
    database is one packed field of the meta hash; the versions that last wrote to the spaces, and the tokens, are other
    fields of the same hash. A commit reads all of them in one command and writes them in another. An insert of a row
    with a UNIQUE column and two indexes takes the server half of the instructions that it took with fields of their
    own. A stream for each space, the mark of a commit under way and the check for evicted keys
    together take 18 % more instructions for such an insert, and 11 % for an update by key.

    The script computes the digest of the new version from the digest before and the token. A read gets the newest
    version's digest from the state, and an older version's from the history, a string of the last 131,072 digests,
    which also serves commits that name what they have seen.

Requirements
    The server must not evict keys: `maxmemory-policy noeviction`. Commits are as durable as the server is set to be
    (AOF, RDB). Replication is asynchronous, so a failover can lose the last commits; the loss is detected by digests.
    With `replicas=N` in the URL a commit waits for replicas (`replicas`).

Options of the URL
    `db` (the number of Redis's database, 0), `database` (ROME's, if the path does not name it), `socket_timeout` and
    `connect_timeout` in seconds, `log_commits` and `log_bytes` (the bounds of the log), `sentinel_service` and
    `sentinels` (host:port,host:port…), `replicas`, `replicas_timeout`, `read_from`, `replica` and
    `staleness` (the package `replicas`), and `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs` for
    rome+rediss://.
"""

from __future__ import annotations

from rome.storage.redis.address import OPTIONS, read_address
from rome.storage.redis.cluster import on_cluster
from rome.storage.redis.replicas.reads import ReplicaReads
from rome.storage.redis.store import RedisStore
from rome.storage.registry import takes_options
from rome.url import URL

__all__ = ["RedisStore", "open_redis", "upgrade_redis"]


@takes_options(*OPTIONS)
def open_redis(url: URL) -> RedisStore:
    """Return the store of a rome+redis, rome+rediss or rome+unix URL. Raise InterfaceError, StoreUnavailable."""
    address = on_cluster(read_address(url))
    return RedisStore(address) if address.open_replica is None else ReplicaReads(address)


def upgrade_redis(url: URL) -> int:
    """Bring the database of a URL to this format; return the format that it had. Raise as `open_redis` does.

    Raise FormatError for a format that is too old or too new.
    """
    store = open_redis(url)
    try:
        return store.upgrade()
    finally:
        store.close()
