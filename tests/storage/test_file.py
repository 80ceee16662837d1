"""The file store: the conformance suite, and what is its own."""

import pytest

from rome.testing.store_suite import StoreSuite


class TestFileStore(StoreSuite):
    @pytest.fixture
    def store_url(self, tmp_path):
        return lambda database: f"rome+file://{tmp_path}/{database}?durability=normal"
