"""Fixtures for all tests."""

import pytest

from rome.testing.servers import valkey_server


@pytest.fixture(scope="session")
def redis_server():
    """A Valkey server of this run, or the one that ROME_TEST_REDIS_URL names. Its databases are the test's to name."""
    with valkey_server() as server:
        yield server
