"""The conformance suite of the Store contract. A class of six lines tests an engine, ROME's own or another:

    class TestFancy(StoreSuite):
        @pytest.fixture
        def store_url(self, fancy_server):
            return lambda database: f"rome+fancy://{fancy_server}/{database}"

`store_url` returns the URL of a database of a given name. Each test uses databases of its own and clears them. Class
attributes say what an engine can't do: `shared = False` if other processes can't reach its databases.

    reading          fetch at the newest version          committing       commit, checks, tokens, counters
    past             fetch at older versions, the log     digests          lost commits are detected
    administration   clear, copy, close                   concurrency      threads and processes
    locking          the lock table                       likeness         random histories, compared with the model
    emptying         commits that empty a space

`Likeness` compares the engine with the memory store, operation by operation. Needs pytest and hypothesis.
"""

from __future__ import annotations

from rome.testing.store_suite.administration import Administration
from rome.testing.store_suite.committing import Committing
from rome.testing.store_suite.concurrency import Concurrency
from rome.testing.store_suite.digests import Digests
from rome.testing.store_suite.emptying import Emptying
from rome.testing.store_suite.likeness import Likeness
from rome.testing.store_suite.locking import Locking
from rome.testing.store_suite.past import ThePast
from rome.testing.store_suite.reading import Reading

__all__ = ["StoreSuite"]


class StoreSuite(Reading, Committing, ThePast, Emptying, Digests, Administration, Concurrency, Locking, Likeness):
    """All tests of a store. Subclass it with a fixture `store_url`: Callable[[str], str]."""
