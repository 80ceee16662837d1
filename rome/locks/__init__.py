"""Distributed locks, and what makes them safe.

    from rome.locks import LockManager

    manager = LockManager("rome+redis://localhost:6379/app")
    with manager.lock("evacuate host-1", ttl=10, timeout=30) as lock:
        with rome.connect("rome+redis://localhost:6379/app") as connection:
            connection.fence(lock)
            connection.execute("UPDATE hosts SET state = 'empty' WHERE name = 'host-1'")

What is promised
    * At any time at most one holder whose TTL has not passed. A lock outlives its holder by its TTL; a holder that
      lives renews it three times a TTL, from a thread.
    * A holder can know: `lock.check()`, `lock.held`, the end of the `with` block and each guarded commit raise LockLost
      (or say so) once the TTL has passed since the last renewal that the store confirmed. That is told from the clock
      and not from the renewal thread, which may therefore fail or die without harm. What was lost stays lost.
    * A *fencing token*: each holder's is greater than all before. A transaction that was given the lock by
      `connection.fence(lock)` (`rome.orm.fence` for sessions) commits only if nobody has overtaken the token. So a
      holder that is paused past its TTL anywhere, even within its commit, and wakes, can't commit: LockLost. Its
      transaction also reads at least all that former holders have committed, else it is refused with Conflict.
    * Re-entrance: a thread that holds a lock takes it again without waiting and without a round trip.
    * Waiting follows events where the engine has them (Redis, Valkey: a blocking read; memory: a condition variable).
      A waiter that dies holds nobody up.
    * LockTimeout and LockLost are OperationalErrors that name the lock. LockTimeout comes after `timeout` seconds,
      however often the waiter was woken.

What is not
    * A lock alone does not keep a paused holder from acting on anything but a guarded commit: no lock can. Give the
      token along (`lock.token`), and let the other side refuse smaller ones.
    * A guarded transaction that changes nothing sends no commit, so only the clock is asked.
    * No queue: of those who wait, any may be next.
    * On Redis the TTL is by the server's clock. If that is put forward, a lock is overtaken early (and its fence holds
      its holder off); if it is put back, a lock that nobody renews lasts one TTL more, from when somebody asks for it.
    * If the server loses commits (a failover to a replica that lagged behind, a restart without appendonly always), it
      loses locks and tokens with them: until its next renewal, a holder may not know that somebody else has the lock,
      and his guarded commit is refused only if one of both has overtaken the other, if what he has read is lost, too,
      or if he writes what the other has written.
    * Locks of a database that is dropped are gone, and their holders learn it at the next renewal.

Round trips
    One to take a free lock, one to release it. Two more to overtake one that was not released (its fence). Stores
    without a table of their own (see `table`): one, two and four.

Parts: `table` (what an engine does for locks) with `memory`, `redis` and `commits`; `holds` (deadlines and renewal);
`fences`; `manager` (what applications use). Row locks of SELECT … FOR UPDATE are in `rome.session.for_update`.
"""

from rome.errors import LockLost, LockTimeout
from rome.locks.manager import Lock, LockManager, manager_of

__all__ = ["Lock", "LockLost", "LockManager", "LockTimeout", "manager_of"]
