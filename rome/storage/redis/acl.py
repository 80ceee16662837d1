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

COPYING = "+rename"
"""For copies of databases, in addition, at the target; and to delete all rows of a table at once, not row by row."""

IN_CLUSTER = "+cluster|slots +asking +readonly"
"""For a cluster, in addition. READONLY is for reads at replicas."""

SHARED_LOCKS = "~lock:* ~lock-signal:* +get +pttl +set +del +lpush"
"""For locks that are shared with python-redis-lock, in addition."""


def least_rule(keys: str) -> str:
    """Return the words of the rule, after the user's name and password. `keys`: a pattern as `Layout.pattern`."""
    return " ".join(["resetkeys", f"~{keys}", "resetchannels", "-@all", *_COMMANDS.split()])


_SAMPLES = """
    hget KEY f, hmget KEY f, hgetall KEY, hkeys KEY, hset KEY f v, hdel KEY f, hincrby KEY f 1, hlen KEY
    zrange KEY 0 1, zrangebylex KEY - +, zlexcount KEY - +, zmscore KEY m, zadd KEY 0 m, zrem KEY m
    xrange KEY - +, xrevrange KEY + -, xadd KEY * f v, xtrim KEY MAXLEN 1, rpush KEY v, lrange KEY 0 1, ltrim KEY 0 1
    getrange KEY 0 1, setrange KEY 0 v, get KEY, set KEY v, type KEY, unlink KEY, exists KEY, persist KEY, pexpire KEY 1
"""
"""An invocation of each command that is about keys. `lacking` asks whether the user may run them; none is run."""

_LACKING = b"""
if not redis.acl_check_cmd then return false end
local lacking = {}
for _, line in ipairs(ARGV) do
    local words = {}
    for word in string.gmatch(line, '%S+') do words[#words + 1] = word == 'KEY' and KEYS[1] or word end
    local is_known, is_allowed = pcall(redis.acl_check_cmd, unpack(words))
    if is_known and not is_allowed then lacking[#lacking + 1] = words[1] end
end
return lacking
"""


def lacking_command(key: bytes) -> tuple[bytes, ...]:
    """Return the command whose reply is the list of the commands that the user may not run on a key.

    The reply is nil where the server can't tell it: before Redis 7.
    """
    lines = [line.strip().encode() for line in _SAMPLES.replace("\n", ",").split(",") if line.strip()]
    return (b"EVAL", _LACKING, b"1", key, *lines)
