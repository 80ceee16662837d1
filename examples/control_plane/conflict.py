"""Two sessions update one row: a conflict on ROME, and how to retry.

These steps run only on ROME. They need concurrent transactions that do not wait for each other; other databases block
or behave differently.
"""

from __future__ import annotations

from sqlalchemy.exc import OperationalError

from examples.control_plane import operations
from examples.control_plane.story import Cloud, Step
from rome.orm import retry_on_conflict


def lose(cloud: Cloud) -> str:
    """Two sessions read and update the same quota. The first commit succeeds; the second gets a conflict."""
    with cloud.session() as first, cloud.session() as second:
        operations.reserve(first, "acme", "vcpus", 1)
        operations.reserve(second, "acme", "vcpus", 2)
        first.commit()
        try:
            second.commit()
        except OperationalError as refusal:
            return f"first: committed\nsecond: {type(refusal.orig).__name__}: {refusal.orig}"
    raise AssertionError("a lost update")


def retry(cloud: Cloud) -> str:
    """The same with retry_on_conflict: the function runs again and reads the other session's update."""
    attempts: list[int] = []

    @retry_on_conflict
    def reserve_two() -> int:
        with cloud.session.begin() as session:
            quota = operations.reserve(session, "acme", "vcpus", 2)
            attempts.append(quota.in_use)
            if len(attempts) == 1:
                with cloud.session.begin() as rival:
                    operations.reserve(rival, "acme", "vcpus", 1)
            return quota.in_use

    in_use = reserve_two()
    return f"committed at attempt {len(attempts)}; {in_use} vcpus in use, no lost update"


CONFLICT = (
    Step("Two sessions reserve concurrently", lose),
    Step("Retry after a conflict", retry),
)
