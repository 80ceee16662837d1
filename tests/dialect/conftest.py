"""SQLAlchemy's dialect suite, under SQLAlchemy's pytest plugin.

The plugin changes how tests are collected and run, so the suite has its own configuration (`setup.cfg` in this folder,
which loads the plugin) and runs separately: `scripts/dialect-suite` or `pytest tests/dialect`. A run of all of ROME's
tests ignores this folder. With `--asyncio`, the suite runs in tasks, on the dialects for asyncio.
"""

from pathlib import Path

import pytest
from sqlalchemy.dialects import registry

from rome.dialect import RomeDialect

HERE = Path(__file__).parent

for store in ("file", "memory", "redis", "rediss", "unix"):
    registry.register(f"rome.{store}", "rome.dialect", "RomeDialect")
registry.register("rome", "rome.dialect", "RomeDialect")
registry.register("sqlite.rome", "rome.dialect", "SqliteRomeDialect")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if config.rootpath != HERE else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--asyncio", action="store_true", help="run on the dialects for asyncio")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--asyncio"):
        RomeDialect.get_dialect_cls = RomeDialect.get_async_dialect_cls
