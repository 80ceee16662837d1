"""The store on Redis, by the suite."""

import pytest

from rome.testing.store_suite import StoreSuite


class TestRedisStore(StoreSuite):
    @pytest.fixture
    def store_url(self, redis_server):
        return redis_server.url
