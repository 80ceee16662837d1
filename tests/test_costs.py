"""No hot path takes more of Python's instructions than `benchmarks/costs.json` says, but for 5 %."""

from __future__ import annotations

import pytest

from benchmarks.cases import COUNTED
from benchmarks.costs import VERSION, Cost, costs_in_process, count, kept

GROWTH = 1.05

KEPT = kept().get(VERSION)


@pytest.fixture(scope="module")
def counted(redis_server: object) -> dict[str, Cost]:
    if KEPT is None:
        pytest.skip(f"no counts are kept for Python {VERSION}: run `python -m benchmarks.costs --keep`")
    return costs_in_process()


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("name", [case.name for case in COUNTED])
def test_a_hot_path_has_not_grown(counted: dict[str, Cost], name: str) -> None:
    assert KEPT is not None
    now, before = counted[name], KEPT[name]
    assert now.instructions <= before.instructions * GROWTH, (
        f"{name}: {now.instructions:,} instructions, {before.instructions:,} before. If that is worth it, run "
        "`python -m benchmarks.costs --keep` and commit benchmarks/costs.json"
    )


def test_only_code_of_rome_counts() -> None:
    assert count(lambda: sorted(range(100), key=lambda number: -number)) == (0, 0)
    assert count(lambda: rome_function()).calls == 1


def rome_function() -> None:
    from rome.storage.keys import prefix_end

    prefix_end(b"key")
