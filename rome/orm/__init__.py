"""Helpers for programs that use SQLAlchemy's ORM.

They are optional: any SQLAlchemy program runs on a `rome+…` URL without them.

    Session, Query            sessions and queries that find their engine     session.py, query.py, config.py
    Entity                    objects that save themselves                    entity.py
    model_query, soft_delete  rows marked as deleted                          query.py, soft_deletion.py
    update_on_match           compare and swap of one row                     update_match.py
    retry_on_conflict,        retry transactions after a conflict             retry.py
    run_transaction
    create_once               get or create, under a distributed lock         locking.py
    fence                     a lock that fences a session's commit           locking.py

This package needs SQLAlchemy 2.0 or newer; on 1.4 its import raises ImportError. The rest of ROME supports 1.4.
"""

import sqlalchemy

from rome.dialect import compat14

if compat14.IN_USE:
    raise ImportError(
        f"rome.orm needs SQLAlchemy 2.0 or newer, and this is {sqlalchemy.__version__}: pip install 'sqlalchemy>=2', "
        "or use SQLAlchemy's own Session with create_engine('rome+…'), which works here"
    )

from rome.orm.config import dispose_engines, engine_for, find_url
from rome.orm.entity import Entity
from rome.orm.locking import create_once, fence
from rome.orm.query import Query, model_query
from rome.orm.retry import is_conflict, retry_on_conflict, run_transaction
from rome.orm.session import Session
from rome.orm.update_match import CannotUpdate, MultiRowsMatched, NoRowsMatched

__all__ = [
    "CannotUpdate",
    "Entity",
    "MultiRowsMatched",
    "NoRowsMatched",
    "Query",
    "Session",
    "create_once",
    "dispose_engines",
    "engine_for",
    "fence",
    "find_url",
    "is_conflict",
    "model_query",
    "retry_on_conflict",
    "run_transaction",
]
