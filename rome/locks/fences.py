"""Fences: a commit refuses the holder of a lock that another holder has overtaken.

A holder that is paused past its TTL does not know it when it wakes. So the next holder, which takes a lock that was not
released, first commits a *fence*: a key of the lock's name and the new token. A commit that is guarded by a lock checks
that there is no fence of that name with a greater token than its own. The check needs no log and no clock, so it works
after a pause of any length. A lock that was released needs no fence, because its holder knows that it has released it.
"""

from __future__ import annotations

import uuid

from rome.errors import Conflict, LockLost
from rome.storage.keys import encode, prefix_end
from rome.storage.store import Batch, Check, Demand, Range, Store, Write

FENCES = b"f"
"""The space of fences: (lock's name, token) → nothing."""


def check(name: str, token: int) -> Check:
    """Return the check of a commit that no holder has overtaken the one with this token."""
    prefix = encode((name,))
    return Check(FENCES, encode((name, token + 1)), prefix_end(prefix), 0, Demand.NO_KEYS)


def overtake(store: Store, name: str, token: int) -> int:
    """Commit the fence of a lock that was taken with this token, but not released before; return the version.

    Raise LockLost if another holder has overtaken it by now.
    """
    prefix = encode((name,))
    (olds,) = store.fetch([Range(FENCES, prefix, prefix_end(prefix))]).answers
    own = encode((name, token))
    writes = [Write(FENCES, own, b""), *(Write(FENCES, key, None) for key, _ in olds if key < own)]
    try:
        return store.commit(Batch(uuid.uuid4().bytes, [check(name, token)], writes))
    except Conflict as conflict:
        raise LockLost(f"lock {name!r} was taken by another holder while we took it") from conflict
