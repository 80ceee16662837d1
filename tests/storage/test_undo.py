"""Snapshot reads, compared with the simplest model: a full copy of every version."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rome.errors import FormatError, SnapshotTooOld
from rome.storage.keys import encode, entry, row_key_of
from rome.storage.store import LAST, Count, Get, Lookup, Range, Scan
from rome.storage.tails import ChangedHistory, Point, Tail, Tails, spaces_of
from rome.storage.undo import Present, fetch_at

EVERYTHING = ((b"", LAST),)


class Copies:
    """An engine with a copy of all spaces for each version, and a log. Each round first applies one of `commits`.

    A commit also puts the missing rows of entries.
    """

    def __init__(self, *commits, between=()):
        self.versions = [{b"r1": {}, b"i1": {}}]
        self.log = []
        self.tails = Tails()
        self.between = list(between)
        self.rounds = []
        for writes in commits:
            self.commit(writes)

    def commit(self, writes):
        spaces = {space: dict(keys) for space, keys in self.versions[-1].items()}
        olds = {}
        for space, key, value in writes:
            olds.setdefault(space, {}).setdefault(key, spaces[space].get(key))
            if value is None:
                spaces[space].pop(key, None)
            else:
                spaces[space][key] = value
        for row_key in {row_key_of(found) for found in spaces[b"i1"]} - spaces[b"r1"].keys():
            olds.setdefault(b"r1", {}).setdefault(row_key, None)
            spaces[b"r1"][row_key] = b"3"
        self.log.append(olds)
        self.versions.append(spaces)

    def fetch_at(self, requests, at):
        tail = self.tails.of(at)
        fetched = fetch_at(requests, tail, lambda asked: self.ask(asked, tail))
        self.tails.keep(tail)
        return fetched

    def ask(self, requests, tail):
        self.rounds.append(list(requests))
        answers = [answer(self.versions[-1], request) for request in requests]
        for space in spaces_of(requests):
            commits = [olds[space] for olds in self.log[tail.until(space) :] if space in olds]
            tail.extend(space, len(self.log), commits)
        present = Present(Point(tail.at, b"", b"", b""), answers)
        if self.between:
            self.commit(self.between.pop(0))
        return present


def answer(spaces, request):
    """Return the answer of one version, by a search of every key."""
    if isinstance(request, Get):
        return [spaces[request.space].get(key) for key in request.keys]
    space = request.index if isinstance(request, Lookup) else request.space
    if isinstance(request, Scan):
        return list(spaces[space]), list(spaces[space].values())
    ranges = ((request.begin, request.end),) if isinstance(request, Range) else request.ranges
    if not isinstance(request, Count) and request.reverse:
        ranges = ranges[::-1]
    found = []
    for begin, end in ranges:
        part = [(key, value) for key, value in spaces[space].items() if begin <= key < end]
        found += sorted(part, reverse=not isinstance(request, Count) and request.reverse)
    if isinstance(request, Count):
        return len(found)
    found = found[: request.limit]
    if isinstance(request, Lookup):
        return [key for key, _ in found], [spaces[request.rows].get(row_key_of(key)) for key, _ in found]
    return found


def shown(request, found):
    """Return an answer in a form that can be compared: a Scan may return any order."""
    return dict(zip(*found, strict=True)) if isinstance(request, Scan) else found


ENTRIES = [entry(encode((column,)), encode((row,))) for column in range(3) for row in range(4)]
keys = st.integers(0, 3).map(lambda row: encode((row,)))
entries = st.sampled_from(ENTRIES)
value = st.one_of(st.none(), st.sampled_from([b"1", b"2"]))
writes = st.lists(
    st.one_of(
        st.tuples(st.just(b"r1"), keys, value),
        st.tuples(st.just(b"i1"), entries, st.sampled_from([b"", None])),
    ),
    max_size=5,
)
bounds = st.one_of(st.just(b""), st.just(LAST), keys, entries)
ranges = st.lists(st.tuples(bounds, bounds), max_size=3).map(tuple)
limits = st.one_of(st.none(), st.integers(0, 6))
requests = st.one_of(
    st.builds(Get, st.just(b"r1"), st.lists(keys, max_size=3).map(tuple)),
    st.builds(Range, st.sampled_from([b"r1", b"i1"]), bounds, bounds, limits, st.booleans()),
    st.builds(Lookup, st.just(b"i1"), st.just(b"r1"), ranges, limits, st.booleans()),
    st.builds(Count, st.sampled_from([b"r1", b"i1"]), ranges),
    st.just(Scan(b"r1")),
)


@settings(max_examples=400)
@given(
    st.lists(writes, max_size=6),
    st.lists(writes, max_size=3),
    st.lists(requests, max_size=4),
    st.integers(0, 6),
)
@example(  # the limit is too small, and the undo restores an entry whose row is in no answer yet
    [
        [(b"i1", entry(b"a", b"a"), b"")],
        [(b"i1", entry(b"a", b"a"), None), *((b"i1", entry(b"b", row), b"") for row in (b"b", b"c"))],
    ],
    [],
    [Lookup(b"i1", b"r1", EVERYTHING, 2)],
    1,
)
def test_any_history_with_commits_between_the_rounds(commits, between, asked, back):
    store = Copies(*commits, between=between)
    at = max(0, len(commits) - back)
    fetched = store.fetch_at(asked, at)
    expected = [shown(request, answer(store.versions[at], request)) for request in asked]
    assert fetched[:2] == (at, at)
    assert list(map(shown, asked, fetched.answers)) == expected
    assert len(store.rounds) <= 2 + len(between)


def put(number, value=b"new"):
    return (b"r1", encode((number,)), value)


def index(column, row, value=b""):
    return (b"i1", entry(encode((column,)), encode((row,))), value)


def test_nothing_written_since_is_one_round():
    store = Copies([put(1), index(1, 1)])
    asked = [
        Range(b"r1", limit=1),
        Lookup(b"i1", b"r1", EVERYTHING),
        Count(b"r1", EVERYTHING),
        Get(b"r1", ()),
        Scan(b"r1"),
    ]
    store.fetch_at(asked, 1)
    assert store.rounds == [asked]


def test_a_limited_range_that_lost_nothing_is_one_round():
    store = Copies([put(1), put(2)], [put(2), put(3)])
    assert store.fetch_at([Range(b"r1", limit=1)], 1).answers == [[(encode((1,)), b"new")]]
    assert len(store.rounds) == 1


def test_only_incomplete_answers_are_requested_again_with_a_greater_limit():
    store = Copies([put(5), put(6), put(7)], [put(1), put(2)])
    fetched = store.fetch_at([Get(b"r1", (encode((1,)),)), Range(b"r1", limit=2)], 1)
    assert fetched.answers == [[None], [(encode((5,)), b"new"), (encode((6,)), b"new")]]
    assert store.rounds[1:] == [[Range(b"r1", limit=4)]]


def test_rows_of_restored_entries_are_found_in_the_log():
    store = Copies([put(1, b"old"), index(1, 1)], [put(1, None), index(1, 1, None)])
    assert store.fetch_at([Lookup(b"i1", b"r1", EVERYTHING)], 1).answers == [([ENTRIES[5]], [b"old"])]
    assert len(store.rounds) == 1


def test_rows_that_the_log_does_not_have_are_requested():
    store = Copies([put(1, b"old"), index(1, 1)], [index(1, 1, None)])
    lookup = Lookup(b"i1", b"r1", EVERYTHING)
    assert store.fetch_at([lookup], 1).answers == [([ENTRIES[5]], [b"old"])]
    assert store.rounds[1:] == [[lookup, Get(b"r1", (encode((1,)),))]]


def test_a_row_that_is_missing_is_an_error():
    store = Copies([index(1, 1)], [put(2)])
    for spaces in store.versions:
        spaces[b"r1"].pop(encode((1,)), None)
    with pytest.raises(FormatError, match=r"space b'r1' is missing.*space b'i1'"):
        store.fetch_at([Lookup(b"i1", b"r1", EVERYTHING)], 1)


def test_a_count_requests_the_present_keys():
    store = Copies([put(1), put(2)], [put(2), put(3)], [put(3, None), put(4)])
    count = Count(b"r1", ((b"", encode((3,))), (encode((3,)), LAST)))
    assert store.fetch_at([count], 1).answers == [2]
    assert store.rounds[1:] == [[count, Get(b"r1", tuple(encode((key,)) for key in (2, 3, 4)))]]


def test_a_tail_has_the_values_at_its_version():
    tail = Tail(7)
    assert (tail.until(b"r1"), tail.of(b"r1"), tail.written(b"r1", (b"", LAST))) == (7, {}, [])
    tail.extend(b"r1", 9, [{b"a": b"1", b"c": None}, {b"a": b"2", b"b": None}])
    assert (tail.until(b"r1"), tail.until(b"r2")) == (9, 7)
    assert tail.of(b"r1") == {b"a": b"1", b"b": None, b"c": None}
    tail.extend(b"r1", 11, [{b"a": b"3", b"d": b"4"}])
    assert tail.of(b"r1") == {b"a": b"1", b"b": None, b"c": None, b"d": b"4"}
    assert tail.written(b"r1", (b"a\0", LAST)) == [b"b", b"c", b"d"]
    tail.extend(b"r1", 10, [{b"a": b"3"}])  # by another thread, late
    assert (tail.until(b"r1"), tail.of(b"r1")[b"a"]) == (11, b"1")


def test_a_tail_whose_commits_were_lost():
    tail = Tail(7)
    tail.confirm(tail.seen, b"any digest")
    tail.confirm((9, b"digest"), b"digest")
    with pytest.raises(ChangedHistory):
        tail.confirm((9, b"digest"), b"another one")


def test_tails_with_few_keys_are_kept():
    tails = Tails()
    empty = Tail(1)
    tails.keep(empty)
    assert tails.of(1) is not empty
    kept = []
    for at in range(100):
        tail = Tail(at)
        tail.extend(b"r1", 100, [{b"%d" % number: None for number in range(20)}])
        tails.keep(tail)
        kept.append(tail)
    assert tails.of(0) is not kept[0]
    assert tails.of(99) is kept[99]
    tails.forget(kept[99])
    assert tails.of(99) is not kept[99]


def test_a_second_read_asks_for_later_commits_only():
    store = Copies([put(1), put(2)], [put(2, b"2")], [put(1, b"3")])
    get = Get(b"r1", (encode((1,)), encode((2,))))
    assert store.fetch_at([get], 1).answers == [[b"new", b"new"]]
    store.commit([put(2, None)])
    store.log[:3] = [None] * 3
    assert store.fetch_at([get], 1).answers == [[b"new", b"new"]]


def test_what_the_engine_refuses_is_passed_on():
    def refuse(_):
        raise SnapshotTooOld("gone")

    with pytest.raises(SnapshotTooOld):
        fetch_at([], Tail(1), refuse)
