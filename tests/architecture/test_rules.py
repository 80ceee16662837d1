"""Each rule of the architecture holds, and the checks see what breaks it."""

from collections.abc import Callable, Iterator

import pytest

from tests.architecture.imports import find_circles
from tests.architecture.layers import LAYERS, layer_of
from tests.architecture.rules import RULES, exists


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Callable[[], Iterator[str]]) -> None:
    assert list(rule()) == []


def test_circles_are_found() -> None:
    graph = {"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert sorted(map(sorted, find_circles(graph))) == [["a", "b", "c"], ["d", "e"]]


def test_the_longest_name_is_a_modules_layer() -> None:
    names = [name for name, _ in LAYERS]
    assert layer_of("rome.storage.redis.store") == names.index("rome.storage.redis")
    assert layer_of("rome.storage.memory") == names.index("rome.storage")
    assert layer_of("rome") == names.index("rome")
    assert layer_of("rome.elsewhere") is None


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        ("rome.storage.store.Store.commit", True),
        ("rome.catalog.model.Column.affinity", True),  # a field without a default
        ("rome.storage.store.Store.comit", False),
        ("rome.storage.stores", False),
    ],
)
def test_names_are_looked_up(name: str, is_there: bool) -> None:
    assert exists(name) == is_there
