"""A short soak."""

import pytest

from rome.verify.soak import run_soak

pytestmark = [pytest.mark.slow, pytest.mark.server]


def test_a_short_soak_leaves_the_database_whole() -> None:
    result = run_soak(seconds=8, processes=4)
    assert result.faults == []
    assert result.restarts == 2
    assert result.transactions > 0
    assert len(result.growths) == 2
