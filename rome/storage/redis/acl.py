"""The permissions that ROME needs on a server: the rule of a user for one database (`ACL SETUSER`)."""

from __future__ import annotations

_COMMANDS = """
    +multi +exec +eval +evalsha +exists +time +select +client|setinfo +memory|usage
    +hget +hmget +hgetall +hkeys +hset +hdel +hincrby
    +zrange +zrangebylex +zlexcount +zmscore +zadd +zrem
    +xrange +xrevrange +xread +xadd +xtrim +rpush +lrange +ltrim +getrange +setrange +get +set +type +unlink
    +hlen +persist +pexpire +wait
"""
"""For statements, transactions and locks."""

COPYING = "+copy +dump +restore"
"""For copies of databases, in addition."""

IN_CLUSTER = "+cluster|slots +asking +readonly"
"""What the user of a cluster needs besides; the last one for reads at replicas."""

SHARED_LOCKS = "~lock:* ~lock-signal:* +get +pttl +set +del +lpush"
"""For locks that are shared with python-redis-lock, in addition."""


def least_rule(keys: str) -> str:
    """Return the words of the rule, after the user's name and password. `keys`: a pattern as `Layout.pattern`."""
    return " ".join(["resetkeys", f"~{keys}", "resetchannels", "-@all", *_COMMANDS.split()])
