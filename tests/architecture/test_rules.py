"""Each rule of the architecture holds."""

from collections.abc import Callable, Iterator

import pytest

from tests.architecture.rules import RULES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Callable[[], Iterator[str]]) -> None:
    assert list(rule()) == []
