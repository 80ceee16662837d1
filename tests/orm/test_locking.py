"""Objects that are created once, and sessions whose commit is fenced by a lock."""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest
from sqlalchemy import exc, func, select

import rome
from rome.errors import Conflict, InterfaceError, LockLost
from rome.locks import LockManager
from rome.orm import Session, create_once, engine_for, fence, run_transaction
from rome.testing.child_processes import exit_with_parent
from tests.orm.models import Base, Server, Share, Ticket


def _count(model):
    with Session() as session:
        return session.scalar(select(func.count()).select_from(model))


def test_created_then_found(rome_url):
    with Session() as session:
        ticket, created = create_once(session, Ticket, {"number": 5}, {"deleted": 1})
        assert (ticket.number, ticket.deleted, created) == (5, 1, True)
        assert not session.in_transaction() or ticket in session
    with Session() as session:
        ticket, created = create_once(session, Ticket, {"number": 5}, {"deleted": 2})
        assert (ticket.deleted, created) == (1, False)
        ticket.deleted = 3
        session.commit()
    assert _count(Ticket) == 1


def test_values_are_computed_only_if_needed(rome_url):
    calls = []
    for _ in range(2):
        with Session() as session:
            create_once(session, Ticket, {"number": 5}, lambda: calls.append(1) or {})
    assert calls == [1]


@pytest.mark.parametrize("joined", [False, True])
def test_never_twice_by_threads(rome_url, joined):
    """There is no constraint on the number; only the lock prevents a second row."""
    created = []
    errors = []

    def work(session, number):
        if joined:
            session.execute(select(func.count()).select_from(Server)).all()
            session.add(Share(deleted=str(number)))
        return create_once(session, Ticket, {"number": number})[1]

    def run():
        try:
            for number in range(4):
                if joined:
                    created.append(run_transaction(Session, partial(work, number=number), attempts=100))
                else:
                    with Session() as session:
                        created.append(work(session, number))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(created) == [False] * 12 + [True] * 4
    assert _count(Ticket) == 4
    assert _count(Share) == (16 if joined else 0)


def _create(url, number):
    with Session(url=url) as session:
        return create_once(session, Ticket, {"number": number})[1]


def test_never_twice_by_processes(redis_server):
    url = redis_server.url("create-once")
    rome.drop_database(url)
    Base.metadata.create_all(engine_for(url))
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn"), initializer=exit_with_parent) as pool:
        created = list(pool.map(_create, [url] * 24, [number // 4 for number in range(24)]))
    assert sum(created) == 6
    rome.drop_database(url)


def test_in_a_transaction_it_is_part_of_it(rome_url):
    manager = LockManager(rome_url)
    with Session() as session:
        session.add(Server(name="web"))
        _, created = create_once(session, Ticket, {"number": 5})
        assert created
        assert _count(Ticket) == 0
        held = threading.Event()

        def create_concurrently():
            with Session() as other:
                create_once(other, Ticket, {"number": 5}, timeout=30)
            held.set()

        thread = threading.Thread(target=create_concurrently)
        thread.start()
        assert not held.wait(0.2)
        session.rollback()
        thread.join()
    assert held.is_set()
    assert (_count(Ticket), _count(Server)) == (1, 0)
    manager.close()


def test_in_a_transaction_whose_snapshot_is_too_old(rome_url):
    with Session() as session:
        assert session.scalars(select(Server)).all() == []
        with Session() as other:
            create_once(other, Ticket, {"number": 5})
        with pytest.raises(Conflict, match="was created after"):
            create_once(session, Ticket, {"number": 5})
        session.rollback()
        assert create_once(session, Ticket, {"number": 5})[1] is False


def test_a_row_created_without_the_lock_is_found_by_the_constraint(rome_url, monkeypatch):
    find = rome.orm.locking._find
    inserted = []

    def find_then_insert(session, model, key):
        found = find(session, model, key)
        if found is None and len(inserted) < 2:
            inserted.append(key)
            if len(inserted) == 2:
                with Session() as other:
                    other.add(Server(memory=1, **key))
                    other.commit()
        return found

    monkeypatch.setattr(rome.orm.locking, "_find", find_then_insert)
    with Session() as session:
        server, created = create_once(session, Server, {"name": "web", "deleted": 0})
        assert (server.memory, created) == (1, False)


def test_other_constraints_raise(rome_url):
    with Session() as session:
        with pytest.raises(exc.IntegrityError):
            create_once(session, Server, {"id": 7}, {"name": None})
        assert not session.in_transaction()
        assert create_once(session, Server, {"id": 7}, {"name": "web"})[1]


def test_a_session_is_fenced(rome_url):
    manager = LockManager(rome_url)
    with Session() as session:
        with manager.lock("a") as lock:
            fence(session, lock)
            session.add(Server(name="one"))
            session.commit()
            fence(session, lock)
            session.add(Server(name="two"))
        with pytest.raises(exc.OperationalError) as caught:
            session.commit()
        assert isinstance(caught.value.orig, LockLost)
    assert _count(Server) == 1
    manager.close()


def test_other_databases_have_no_locks(url):
    if url.startswith("rome"):
        pytest.skip("ROME has locks")
    with Session() as session, pytest.raises(InterfaceError, match="ROME databases only"):
        create_once(session, Ticket, {"number": 5})
