"""Measure the cost of a failover: a primary, two replicas and three Sentinels, while clients commit.

    kill        the primary is killed (SIGKILL)
    hang        the primary is stopped (SIGSTOP) until another one has its place
    partition   the primary is cut off from the Sentinels, the replicas, and the clients that ask the Sentinels. Another
                client, which is on its side, goes on with it

Each client commits one new row a transaction, and notes how the commit ended. Then the rows are compared.
"""

from __future__ import annotations

from rome.verify.failover.run import FAULTS, Losses, run_failover

__all__ = ["FAULTS", "Losses", "run_failover"]
