"""The store on one Redis (6.2 or newer) or Valkey server. Each fetch and each commit is one round trip.

Layout
    A space of values is a hash, with a sorted set of its keys for their order; a space of entries is a sorted set.
    All scores are 0, so that Redis sorts the members byte by byte: ZRANGE BYLEX is a key range. `layout.py` names
    every key of Redis. Other layouts were measured (benchmarks/layouts.py; 20,000 rows of 244 bytes, each in an
    index four times, Valkey 9.1 and in brackets Redis 7.0 where it differs much; two busy cores, so only ratios count):

                                          hash and sets   string a row, SORT   rows in a sorted set
        memory, bytes a row                  669 (912)          851 (1353)          627 (845)
        commands to insert, to update           3, 1               7, 1                2, 2
        insert, µs a row                          11                 19                  10
        get 1 / 100 / 1000 rows, µs    74 / 110 / 450     74 / 125 / 590     80 / 370 / 2900
        lookup 1 / 100 / 1000 rows, µs 83 / 190 / 980     77 / 120 / 510     92 / 340 / 2800
        lookup in two native rounds    145 / 215 / 850                  -                  -

    Strings with a set for each index value and SORT … BY nosort GET … halve the time of large lookups, in native
    commands. But sets answer only equality of all columns and know no order, so ranges, prefixes, limits and ORDER BY
    would take the script all the same, for a quarter to a half more memory and twice the work of every write.
    Rows inside of the sorted set are small and are scanned quickly, but a row by its key is a range of its own. A
    lookup by the script (rows.lua) takes a round trip less than two native rounds: quicker up to hundreds of rows even
    on one machine, and with a network between, always.

Reads
    A MULTI with the state of the database (from the meta hash), the requests and, at an older version, the log
    since then: all of it is from one version. What the log undoes is worked out in the client (`rome.storage.undo`).
    A MULTI costs no more time than two reads of the version around the requests, and needs no second try.

Commits
    One script (commit.lua) looks at everything that can be refused before its first write, for a script that fails
    half-way is not rolled back. A check is first compared with the version that last wrote to its space; only if that
    is newer, the log since then is read. The log is a stream whose ids are the versions. Each entry holds the old
    values in a packing of its own, for cmsgpack does not keep all bytes. Where the log is longer than `log_commits` (by
    a hundredth, at most 64) or `log_bytes`, a commit removes up to 64 of the oldest entries, and with them their tokens
    and the spaces they dropped.

    What a script costs is the strings that it is given and makes, and the commands that it sends. So the state of the
    database is one packed field of the meta hash, the versions that last wrote to the spaces and the tokens are others
    of the same hash, and all that a commit wants to know of them is one command, and all that it leaves is another. An
    insert of a row with a UNIQUE column and two indexes takes the server 320,000 instructions, where it took 710,000.

    The script also makes the version's digest of that of the version before and its token. Digests are told with the
    newest version in its hash, and of older versions by the log's next entry, so that a read costs nothing more; a
    string of the last 131,072 of them serves commits that name what they have seen.

What it rests on
    The server must not evict keys: `maxmemory-policy noeviction`. Commits last as long as the server is set to keep
    them (AOF, RDB); a replica lags behind, and a failover can lose the last commits. That they are lost is noticed.

Options of the URL: `db` (the number of Redis's database, 0), `database` (ROME's, where the path does not name it),
`socket_timeout` and `connect_timeout` in seconds, `log_commits` and `log_bytes` (how much of the past is kept),
`sentinel_service` and `sentinels` (host:port,host:port…), and `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`,
`ssl_cert_reqs` for rome+rediss://.
"""

from __future__ import annotations

from rome.storage.redis.address import OPTIONS, read_address
from rome.storage.redis.store import RedisStore
from rome.storage.registry import takes_options
from rome.url import URL

__all__ = ["RedisStore", "open_redis"]


@takes_options(*OPTIONS)
def open_redis(url: URL) -> RedisStore:
    """The store of a rome+redis://, rome+rediss:// or rome+unix:// URL. Raises InterfaceError, StoreUnavailable."""
    return RedisStore(read_address(url))
