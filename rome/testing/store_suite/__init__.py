"""The conformance suite of the Store contract. Any engine, ROME's own or another, is tested by a class of six lines:

    class TestFancy(StoreSuite):
        @pytest.fixture
        def store_url(self, fancy_server):
            return lambda database: f"rome+fancy://{fancy_server}/{database}"

`store_url` makes the URL of a database of that name. Each test uses databases of its own, and clears them. A class
attribute says what an engine lacks: `shared = False` for one that other processes can't reach.

The last part, `Likeness`, compares the engine with the memory store, operation by operation, on random histories.
Needs pytest and hypothesis.
"""

from __future__ import annotations

from rome.testing.store_suite.administration import Administration
from rome.testing.store_suite.committing import Committing
from rome.testing.store_suite.concurrency import Concurrency
from rome.testing.store_suite.digests import Digests
from rome.testing.store_suite.likeness import Likeness
from rome.testing.store_suite.locking import Locking
from rome.testing.store_suite.past import ThePast
from rome.testing.store_suite.reading import Reading

__all__ = ["StoreSuite"]


class StoreSuite(Reading, Committing, ThePast, Digests, Administration, Concurrency, Locking, Likeness):
    """Subclass it with a fixture `store_url`: Callable[[str], str]."""
