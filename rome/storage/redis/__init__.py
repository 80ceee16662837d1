"""The store on Redis and Valkey.

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
