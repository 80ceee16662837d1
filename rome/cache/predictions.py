"""Numbers of counters that a transaction uses before they are taken; its commit takes them (`Batch.expects`).

So an INSERT needs no round trip for the id of its row, if all that it reads is in the cache. If another process has
taken the number in the meantime, the commit is refused. So a number is predicted only while this process seems to be
the only one that takes numbers of the counter:

    after some draws, or commits, in a row without a number of others between them
    not after a commit of the log has a row with a later id than is known
    after a refusal, twice as many draws in a row are needed

Within the process, one transaction at a time uses predicted numbers of a counter. Others draw theirs, and draw the
predicted ones along, so they belong to the process: that transaction need not be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rome import waits
from rome.forks import new_lock
from rome.storage.keys import encode
from rome.storage.store import Committed, Draw, Fetched, counter_of_rows, holds_rows

_FEWEST_IN_A_ROW = 3
_MOST_IN_A_ROW = 1000

_LONGEST_DRAW = 10.0
"""Seconds that a refused commit waits for a draw of another thread, which may have taken its numbers along."""


@dataclass(slots=True, eq=False)
class Prediction:
    """The numbers of a counter from `last + 1` to `end`, which one transaction uses."""

    last: int
    end: int
    is_drawn: bool = False
    """True if the process has drawn the numbers."""


@dataclass(slots=True, eq=False)
class _Counter:
    """The known numbers of a counter of the store."""

    last: int | None = None
    """The last number that it has given; None: not known."""
    in_a_row: int = 0
    """How many times this process has taken numbers since others did."""
    needed: int = _FEWEST_IN_A_ROW
    draws: int = 0
    """The draws that are under way."""
    prediction: Prediction | None = None

    def note_others(self) -> None:
        self.last, self.in_a_row = None, 0


Predicted = dict[bytes, Prediction]
"""The predictions of one transaction, by counter."""


class Predictions:
    """The predicted numbers of the transactions of a process. Threads share it."""

    def __init__(self) -> None:
        self._counters: dict[bytes, _Counter] = {}
        self._lock = new_lock()

    def predict(self, own: Predicted, draws: Iterable[Draw]) -> list[int] | None:
        """Return the first number of each draw, and note it in the transaction's predictions; None to draw them."""
        with self._lock:
            if not all(self._can_predict(own, counter) for counter, _ in draws):
                return None
            firsts = []
            for counter, count in draws:
                known = self._counters[counter]
                if known.prediction is None:
                    assert known.last is not None
                    own[counter] = known.prediction = Prediction(known.last, known.last)
                firsts.append(known.prediction.end + 1)
                known.prediction.end += count
            return firsts

    def _can_predict(self, own: Predicted, counter: bytes) -> bool:
        known, former = self._counters.get(counter), own.get(counter)
        if known is None or known.last is None or known.draws:
            return False
        if known.prediction is not None:
            return known.prediction is former
        return known.in_a_row >= known.needed and (former is None or former.is_drawn)

    def draw(self, draws: Sequence[Draw], fetch: Callable[[Sequence[Draw]], Fetched]) -> Fetched:
        """Fetch with draws, and with those of predicted numbers along. Return the result with the caller's numbers.

        `fetch` may answer without a draw. Raise its errors.
        """
        wider = self._begin(draws)
        firsts: Sequence[int] = ()
        try:
            fetched = fetch(wider)
            firsts = fetched.drawn
        except BaseException:
            self._end(draws, wider, None)
            raise
        self._end(draws, wider, firsts)
        if not firsts:
            return fetched
        own = [first + more - count for first, (_, more), (_, count) in zip(firsts, wider, draws, strict=True)]
        return fetched._replace(drawn=own)

    def _begin(self, draws: Sequence[Draw]) -> list[Draw]:
        wider = []
        with self._lock:
            for counter, count in draws:
                known = self._counters.setdefault(counter, _Counter())
                known.draws += 1
                prediction = known.prediction
                wider.append((counter, count + (0 if prediction is None else prediction.end - prediction.last)))
        return wider

    def _end(self, draws: Sequence[Draw], wider: Sequence[Draw], firsts: Sequence[int] | None) -> None:
        """Note the first numbers of draws: none if nothing was drawn; None if that is not known."""
        with self._lock:
            for place, (counter, _) in enumerate(draws):
                known = self._counters.setdefault(counter, _Counter())
                known.draws = max(0, known.draws - 1)
                if firsts is None:
                    known.note_others()
                elif firsts:
                    self._note_drawn(known, firsts[place], wider[place][1])

    @staticmethod
    def _note_drawn(known: _Counter, first: int, count: int) -> None:
        prediction, known.prediction = known.prediction, None
        if prediction is not None:
            prediction.is_drawn = first == prediction.last + 1 and prediction.end < first + count
        known.in_a_row = known.in_a_row + 1 if known.last == first - 1 else 0
        known.last = max(known.last or 0, first + count - 1)

    def end(self, own: Predicted, taken: Mapping[bytes, int]) -> None:
        """Note the end of a transaction. `taken`: the last number of each counter that its commit has taken."""
        with self._lock:
            for counter, prediction in own.items():
                known = self._counters.get(counter)
                if known is None or known.prediction is not prediction:
                    continue
                known.prediction = None
                if counter in taken:
                    known.last = max(known.last or 0, taken[counter])
                    known.in_a_row += 1
                    known.needed = max(known.needed // 2, _FEWEST_IN_A_ROW)

    def note_refusal(self, counter: bytes) -> None:
        """Note that others have taken numbers that were predicted."""
        with self._lock:
            known = self._counters.setdefault(counter, _Counter())
            known.note_others()
            known.needed = min(2 * known.needed, _MOST_IN_A_ROW)

    def forget(self, counter: bytes) -> None:
        """Note that the last number of a counter is not known."""
        with self._lock:
            if counter in self._counters:
                self._counters[counter].note_others()

    def forget_all(self) -> None:
        """Note that nothing is known of the counters: the database was replaced, or this is a forked child."""
        with self._lock:
            self._counters.clear()

    def is_drawn(self, counter: bytes, prediction: Prediction) -> bool:
        """Return True if the process has drawn predicted numbers. Wait for draws that are under way."""
        waits.poll(lambda: counter not in self._counters or not self._counters[counter].draws, _LONGEST_DRAW)
        return prediction.is_drawn

    def note_commits(self, commits: Iterable[Committed]) -> None:
        """Note rows with later ids than this process knows of: others insert into their tables."""
        if not self._counters:
            return
        with self._lock:
            for commit in commits:
                for space, key, old, _ in commit.changes:
                    known = self._counters.get(counter_of_rows(space)) if old is None and holds_rows(space) else None
                    if known is not None and known.last is not None:
                        end = known.last if known.prediction is None else known.prediction.end
                        if key > encode((end,)):
                            known.note_others()
