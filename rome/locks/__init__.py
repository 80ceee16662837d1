"""Distributed locks with fencing tokens.

    from rome.locks import LockManager

    manager = LockManager("rome+redis://localhost:6379/app")
    with manager.lock("evacuate host-1", ttl=10, timeout=30) as lock:
        with rome.connect("rome+redis://localhost:6379/app") as connection:
            connection.fence(lock)
            connection.execute("UPDATE hosts SET state = 'empty' WHERE name = 'host-1'")

Guarantees
    * Mutual exclusion: at any time at most one holder's TTL has not passed. A lock outlives its holder by its TTL; a
      living holder renews it three times a TTL, from a background thread.
    * Loss is detected by the clock: `lock.check()`, `lock.held`, the end of the `with` block and each guarded commit
      report LockLost once the TTL has passed since the last renewal that the store confirmed. The renewal thread may
      fail or die without harm. A lost lock stays lost.
    * A *fencing token*: each holder's is greater than all before. A transaction that is guarded by the lock
      (`connection.fence(lock)`, `rome.orm.fence` for sessions) commits only if no later holder has overtaken the token.
      So a holder that is paused past its TTL, even within its commit, gets LockLost when it wakes. A guarded
      transaction must also read at least all that former holders have committed, else it is refused with Conflict.
    * Re-entrance: a thread or task that holds a lock takes it again without waiting and without a round trip.
    * Waiting follows events where the engine has them (Redis, Valkey: a blocking read; memory: a condition variable). A
      dead waiter blocks nobody.
    * LockTimeout and LockLost are OperationalErrors that name the lock. LockTimeout is raised after `timeout` seconds,
      however often the waiter was woken.

Not guaranteed
    * A lock alone does not keep a paused holder from doing anything but guarded commits; no lock can. Pass the token
      (`lock.token`) to other systems, and let them refuse smaller ones.
    * A guarded transaction that changes nothing sends no commit, so only the clock is checked.
    * There is no queue: any waiter may be next.
    * On Redis the server's clock measures TTLs. If it is put forward, a lock expires early (and its fence stops its
      holder); if it is put back, a lock that is not renewed lasts one TTL longer, from the first attempt to take it.
    * If the server loses commits (a failover to a lagging replica, a restart without `appendonly always`), it loses
      locks and tokens as well. Until its next renewal a holder may not know that another process has the lock. Its
      guarded commit is then refused only if one of them has overtaken the other, if what it has read is lost too, or if
      it writes what the other has written.
    * The locks of a database that is dropped are gone; their holders learn it at the next renewal.

Round trips
    One to take a free lock, one to release it. Two more to overtake one that was not released, for the fence. In stores
    without a lock table of their own: one, two and four.

Modules: `manager` has the locks that applications use, `holds` deadlines and renewal, `fences` the fences. The lock
tables belong to the stores (`rome.storage.lock_table`). Row locks of SELECT … FOR UPDATE are in
`rome.session.for_update`.
"""

from rome.errors import LockLost, LockTimeout
from rome.locks.manager import Lock, LockManager, manager_of

__all__ = ["Lock", "LockLost", "LockManager", "LockTimeout", "manager_of"]
