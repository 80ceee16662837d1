"""Retries after a conflict."""

import threading

import pytest
from sqlalchemy import exc
from sqlalchemy.orm import scoped_session, sessionmaker

from rome.errors import Conflict, OperationalError, SnapshotTooOld
from rome.orm import Query, Session, is_conflict, retry, retry_on_conflict, run_transaction
from tests.orm.models import Server


def wrapped(error):
    """Wrap an error as SQLAlchemy does."""
    return exc.OperationalError("COMMIT", {}, error)


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    taken = []
    monkeypatch.setattr(retry, "_sleep", lambda seconds: taken.append(seconds * 1000))
    return taken


def failing(times, error):
    """Return a function that fails a number of times, and the list of its calls."""
    calls = []

    def function():
        calls.append("call")
        if len(calls) <= times:
            raise error
        return "done"

    return function, calls


@pytest.mark.parametrize("error", [Conflict("c"), wrapped(Conflict("c")), wrapped(SnapshotTooOld("s"))])
def test_conflicts_are_retried(error):
    function, calls = failing(2, error)
    assert retry_on_conflict(function)() == "done"
    assert len(calls) == 3


@pytest.mark.parametrize("error", [OperationalError("x"), wrapped(OperationalError("x")), ValueError("x")])
def test_other_errors_are_not(error):
    function, calls = failing(1, error)
    with pytest.raises(type(error)):
        retry_on_conflict(function)()
    assert len(calls) == 1
    assert not hasattr(error, "__notes__")


def test_oslo_dbs_deadlock_is_a_conflict():
    exception = pytest.importorskip("oslo_db.exception")
    assert is_conflict(exception.DBDeadlock(wrapped(Conflict("c"))))
    assert not is_conflict(exception.DBDeadlock(wrapped(OperationalError("x"))))


def test_the_last_error_has_the_number_of_attempts():
    function, calls = failing(9, wrapped(Conflict("servers 7")))
    with pytest.raises(exc.OperationalError, match="servers 7") as raised:
        retry_on_conflict(attempts=4)(function)()
    assert len(calls) == 4
    assert raised.value.__notes__ == ["rome.orm.retry gave up after 4 attempts"]


def test_pauses_double_up_to_the_cap(pauses, monkeypatch):
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: high)
    function, _ = failing(6, Conflict("c"))
    retry_on_conflict(base_ms=1, cap_ms=10)(function)()
    assert pauses == [1, 2, 4, 8, 10, 10]


def test_pauses_are_random(pauses):
    function, _ = failing(10, Conflict("c"))
    retry_on_conflict(function)()
    assert all(0 <= pause <= retry.CAP_MS for pause in pauses)
    assert len(set(pauses)) == 10


def test_decorated_functions_keep_their_metadata():
    @retry_on_conflict(attempts=2)
    def reserve(project, *, cores):
        """Reserve cores."""
        return project, cores

    assert reserve("acme", cores=2) == ("acme", 2)
    assert (reserve.__name__, reserve.__doc__) == ("reserve", "Reserve cores.")


@pytest.mark.parametrize("options", [{"attempts": 0}, {"base_ms": -1}, {"cap_ms": -1}])
def test_invalid_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        retry_on_conflict(**options)(print)
    with pytest.raises(ValueError, match=next(iter(options))):
        run_transaction(Session, print, **options)


def test_coroutines_and_generators_are_refused():
    async def coroutine():
        pass

    def generator():
        yield

    for function in (coroutine, generator):
        with pytest.raises(TypeError, match="can't be run again"):
            retry_on_conflict(function)


def test_nested_functions_leave_it_to_the_outermost():
    inner, inner_calls = failing(2, Conflict("c"))
    outer_calls = []

    @retry_on_conflict
    def outer():
        outer_calls.append("call")
        return retry_on_conflict(inner)()

    assert outer() == "done"
    assert len(outer_calls) == len(inner_calls) == 3
    again, calls = failing(1, Conflict("c"))
    assert retry_on_conflict(again)() == "done"
    assert len(calls) == 2


def test_a_transaction_that_has_begun_is_not_repeated(url):
    calls = []

    @retry_on_conflict
    def part(session):
        calls.append("call")
        raise Conflict("c")

    with Session() as session, session.begin(), pytest.raises(Conflict):
        part(session)
    assert len(calls) == 1
    with Session() as session, session.begin(), pytest.raises(Conflict):
        part(session=session)
    assert len(calls) == 2


@pytest.mark.parametrize("scoped", [False, True])
def test_a_session_argument_is_rolled_back(url, scoped):
    calls = []

    @retry_on_conflict
    def create(session):
        session.add(Server(name=f"server {len(calls)}"))
        session.flush()
        calls.append("call")
        if len(calls) < 3:
            raise wrapped(Conflict("c"))
        session.commit()

    session = scoped_session(sessionmaker(class_=Session)) if scoped else Session()
    create(session)
    session.close()
    assert Query(Server.name).all() == [("server 2",)]


def test_run_transaction_commits_what_succeeded(url):
    calls = []

    def create(session):
        session.add(Server(name=f"server {len(calls)}"))
        session.flush()
        calls.append(session)
        if len(calls) < 3:
            raise wrapped(Conflict("c"))
        return session.query(Server).count()

    assert run_transaction(Session, create) == 1
    assert len(set(map(id, calls))) == 3
    assert Query(Server.name).all() == [("server 2",)]


def test_run_transaction_keeps_nothing_of_what_failed(url):
    def create(session):
        session.add(Server(name="web"))
        session.flush()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_transaction(Session, create)
    assert Query(Server).count() == 0


def test_run_transaction_needs_a_new_session(url):
    with Session() as session, session.begin():
        with pytest.raises(exc.InvalidRequestError, match="needs a new session"):
            run_transaction(lambda: session, lambda session: None)
        assert session.in_transaction()


def test_threads_retry_independently():
    outcomes = []

    @retry_on_conflict
    def wait():
        function, calls = failing(1, Conflict("c"))
        thread = threading.Thread(target=lambda: outcomes.append((retry_on_conflict(function)(), len(calls))))
        thread.start()
        thread.join()

    wait()
    assert outcomes == [("done", 2)]
