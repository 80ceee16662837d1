"""The examples in the docstrings of `rome.orm` run."""

import doctest
import importlib
import pkgutil

import pytest

import rome.orm


@pytest.mark.parametrize("module", sorted(module.name for module in pkgutil.iter_modules(rome.orm.__path__)))
def test_examples_run(monkeypatch, module):
    monkeypatch.setenv("ROME_URL", f"rome+memory:///examples-{module}")
    found = importlib.import_module(f"rome.orm.{module}")
    # Remove the name `annotations`: doctest takes it for the future import, and the models' annotations become strings.
    names = {name: value for name, value in vars(found).items() if name != "annotations"}
    assert doctest.testmod(found, globs=names).failed == 0
