"""The examples in the facade's docstrings do what they say."""

import doctest
import importlib
import pkgutil

import pytest

import rome.orm


@pytest.mark.parametrize("module", sorted(module.name for module in pkgutil.iter_modules(rome.orm.__path__)))
def test_examples_run(monkeypatch, module):
    monkeypatch.setenv("ROME_URL", f"rome+memory:///examples-{module}")
    found = importlib.import_module(f"rome.orm.{module}")
    # Without the name `annotations`, which doctest takes for the future import: the models' annotations would be texts.
    names = {name: value for name, value in vars(found).items() if name != "annotations"}
    assert doctest.testmod(found, globs=names).failed == 0
