"""Two sessions change one row: how a conflict on ROME looks, and how to run the loser again.

These steps are ROME's own. They need transactions that run side by side without waiting for each other, which the
other databases that the story runs on handle in ways of their own.
"""

from __future__ import annotations

from rich.console import RenderableType
from sqlalchemy.exc import OperationalError

from examples.control_plane import operations
from examples.control_plane.story import Cloud, Step
from rome.orm import retry_on_conflict


def lose(cloud: Cloud) -> RenderableType:
    """Both sessions read the same quota and reserve. The first commit wins; the second is refused whole."""
    with cloud.session() as first, cloud.session() as second:
        operations.reserve(first, "acme", "vcpus", 1)
        operations.reserve(second, "acme", "vcpus", 2)
        first.commit()
        try:
            second.commit()
        except OperationalError as refusal:
            return f"first: committed\nsecond: {type(refusal.orig).__name__}: {refusal.orig}"
    raise AssertionError("two sessions wrote over each other")


def retry(cloud: Cloud) -> RenderableType:
    """The same within retry_on_conflict: the loser runs again, on what the winner has written."""
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
    return f"committed at attempt {len(attempts)}; {in_use} vcpus in use, none reserved twice or lost"


CONFLICT = (
    Step("Two sessions reserve at once", lose),
    Step("The loser tries again", retry),
)
