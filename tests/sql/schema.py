"""Catalogs for tests: SQLite runs the DDL, and the catalog is read from it."""

import itertools

import apsw

from rome.catalog.model import Catalog
from rome.sql.analysis.analyze import analyze, needs_parse
from rome.sql.planner import planner
from rome.sql.planner.read_plan import ReadPlan
from rome.sql.planner.statistics import Statistics
from rome.sql.syntax.operands import Parameters
from rome.sql.syntax.parse import normalize
from rome.sql.syntax.statement import classify
from rome.sql.syntax.tokens import names
from rome.sqlite.catalog_reader import Renames, read_catalog


def open_sqlite() -> apsw.Connection:
    """Return a plain SQLite in memory, with a `rome_next` that counts from 101."""
    connection = apsw.Connection(":memory:")
    numbers = itertools.count(101)
    connection.create_scalar_function("rome_next", lambda name: next(numbers), 1)
    return connection


def catalog_of(connection: apsw.Connection) -> Catalog:
    """Return the catalog of a connection's tables."""
    ids = itertools.count(1)
    return read_catalog(connection, Catalog(), Renames(), lambda: next(ids))


def catalog_from(ddl: str) -> Catalog:
    """Return the catalog of a script of DDL."""
    connection = open_sqlite()
    connection.execute(ddl)
    return catalog_of(connection)


def plan_reads(
    sql: str, catalog: Catalog, statistics: Statistics | None = None, parameters: Parameters = ()
) -> ReadPlan:
    """Return the read plan of a text alone, without SQLite's report of what it reads."""
    statement, mentioned = classify(sql), names(sql)
    normalized = normalize(sql) if needs_parse(statement, mentioned) else None
    analysis = analyze(statement, mentioned, normalized, catalog)
    full_scans = [catalog.tables[name] for name in sorted(analysis.whole)]
    lists = normalized.lists if normalized else ()
    return planner.plan_reads(analysis, lists, catalog, statistics or Statistics(), full_scans, parameters=parameters)


CATALOG = catalog_from("""
CREATE TABLE p (id INTEGER PRIMARY KEY, uuid TEXT, host TEXT, n);
CREATE UNIQUE INDEX p_uuid ON p (uuid);
CREATE INDEX p_host ON p (host);
CREATE INDEX p_n ON p (n);
CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p (id), name TEXT, puuid TEXT);
CREATE INDEX c_pid ON c (pid);
CREATE INDEX c_puuid ON c (puuid);
CREATE INDEX c_name ON c (name);
CREATE TABLE g (id INTEGER PRIMARY KEY, cid INTEGER REFERENCES c (id), v);
CREATE TABLE k (a INTEGER NOT NULL, b TEXT NOT NULL, v, PRIMARY KEY (a, b));
CREATE TABLE w (size REAL, nick TEXT COLLATE NOCASE);
CREATE INDEX w_size ON w (size);
CREATE INDEX w_nick ON w (nick);
CREATE TABLE x (id INTEGER PRIMARY KEY, name TEXT, gone INT, born TEXT, twice AS (gone * 2));
CREATE INDEX x_lower ON x (lower(name));
CREATE INDEX x_alive ON x (name) WHERE gone = 0;
CREATE INDEX x_twice ON x (twice);
CREATE INDEX x_born ON x (born) WHERE born IS NOT NULL;
CREATE VIEW busy AS SELECT * FROM p;
""")
