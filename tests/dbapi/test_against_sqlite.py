"""ROME answers what SQLite answers: the same scripts on both, committing in different places."""

from __future__ import annotations

import itertools
import sqlite3

import pytest

import rome
from rome.testing import check_database
from tests.dbapi.reference import Reference

NUMBER = itertools.count()

SCRIPTS = {
    "names beyond ASCII": """
        CREATE TABLE "Ä" (id INTEGER PRIMARY KEY, v TEXT);
        CREATE TABLE "ä" (id INTEGER PRIMARY KEY, w TEXT UNIQUE, up INT REFERENCES "Ä" ON DELETE CASCADE);
        INSERT INTO "Ä" VALUES (1, 'upper');
        INSERT INTO "ä" VALUES (1, 'lower', 1);
        SELECT * FROM "Ä";
        SELECT * FROM "ä" JOIN "Ä" ON "Ä".id = "ä".up;
        UPDATE "Ä" SET v = 'U' WHERE id = 1;
        SELECT "Ä".v, row_number() OVER () FROM "Ä";
        ALTER TABLE "Ä" ADD COLUMN "Ö" INT DEFAULT 7;
        ALTER TABLE "Ä" RENAME COLUMN "Ö" TO "ö";
        SELECT "ö" FROM "Ä";
        SELECT "Ö" AS q, * FROM "Ä" WHERE [Ö] = 7;
        CREATE INDEX "Ix Ä" ON "Ä" (v);
        CREATE INDEX "Ix ä" ON "Ä" (v, "ö");
        DROP INDEX "iX Ä";
        SELECT name FROM sqlite_master ORDER BY name;
        CREATE TABLE T (id INTEGER PRIMARY KEY, "Ä" TEXT, "ä" TEXT UNIQUE, K INT, "\u212a" INT);
        INSERT INTO t ("ä", "Ä", k, "\u212a") VALUES ('lower', 'upper', 1, 2);
        SELECT * FROM t WHERE "Ä" = 'upper';
        SELECT id FROM t WHERE "ä" = 'lower';
        SELECT id FROM t WHERE "ä" = 'upper';
        UPDATE t SET "Ä" = 'U2' WHERE id = 1;
        UPDATE t SET "ä" = 'L2' WHERE "ä" = 'lower';
        UPDATE t SET "\u212a" = 20 WHERE k = 1;
        SELECT "Ä", "ä", t.k, "\u212a" FROM t;
        INSERT INTO t ("ä") VALUES ('L2') ON CONFLICT ("ä") DO UPDATE SET "Ä" = excluded."ä";
        SELECT "ä" AS "É", "Ä" AS "é" FROM t ORDER BY "é", "É";
        WITH "Ü" AS (SELECT 1 AS a), "ü" AS (SELECT 2 AS a) SELECT "Ü".a, "ü".a FROM "Ü", "ü";
        SELECT lower('ÄB'), upper('\u017fß'), 'Ä' = 'ä' COLLATE NOCASE, 'A' LIKE 'a', 'Ä' LIKE 'ä';
        \u017felect * FROM t;
        DELETE FROM "Ä";
        SELECT count(*) FROM "ä";
        DROP TABLE "ä";
        SELECT v FROM "Ä";
    """,
    "rows": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b INT, c REAL DEFAULT 1.5, CHECK (b < 100));
        INSERT INTO t (a, b) VALUES ('x', 1), ('y', 2);
        INSERT INTO t VALUES (7, 'z', 3, 4);
        SELECT * FROM t;
        INSERT INTO t (a) VALUES ('x');
        INSERT INTO t (a, b) VALUES ('q', 100);
        INSERT INTO t (id, a) VALUES (7, 'p');
        INSERT OR IGNORE INTO t (id, a, b) VALUES (8, 'x', 9), (9, 'w', 9);
        INSERT OR REPLACE INTO t (id, a, b) VALUES (40, 'y', 5);
        SELECT * FROM t ORDER BY id;
        UPDATE t SET b = b + 1 WHERE a > 'w';
        UPDATE t SET a = 'x' WHERE b = 5;
        UPDATE t SET id = id + 100 WHERE id < 10;
        SELECT * FROM t ORDER BY id;
        DELETE FROM t WHERE b IS NULL OR b = 2;
        SELECT count(*), sum(b), max(a) FROM t;
        UPDATE t SET a = NULL;
        SELECT id, a FROM t ORDER BY id;
        DELETE FROM t;
        SELECT count(*) FROM t;
    """,
    "foreign keys": """
        CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT UNIQUE);
        CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p(id) ON DELETE CASCADE ON UPDATE CASCADE, x);
        CREATE TABLE g (id INTEGER PRIMARY KEY, c INT REFERENCES c ON DELETE SET NULL, code TEXT REFERENCES p(code));
        INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c');
        INSERT INTO c (p, x) VALUES (1, 'i'), (1, 'ii'), (2, 'iii'), (NULL, 'iv');
        INSERT INTO c (p) VALUES (9);
        INSERT INTO c (p) SELECT 9;
        INSERT INTO g (c, code) VALUES (1, 'a'), (3, 'b'), (4, NULL);
        INSERT INTO g (c, code) VALUES (1, 'nope');
        UPDATE c SET p = 3 WHERE x = 'ii';
        UPDATE c SET p = 33 WHERE x = 'ii';
        UPDATE p SET id = 30 WHERE id = 3;
        SELECT id, p, x FROM c ORDER BY id;
        DELETE FROM p WHERE id = 1;
        UPDATE g SET code = NULL WHERE code = 'a';
        DELETE FROM p WHERE id = 1;
        SELECT id, p, x FROM c ORDER BY id;
        SELECT id, c, code FROM g ORDER BY id;
        DELETE FROM p;
        DELETE FROM g;
        DELETE FROM p;
        SELECT id, p, x FROM c ORDER BY id;
        DROP TABLE p;
        DROP TABLE g;
        SELECT * FROM c;
    """,
    "deferred and self-referring": """
        CREATE TABLE n (id INTEGER PRIMARY KEY,
            up INT REFERENCES n(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO n VALUES (1, NULL), (2, 1), (3, 2), (4, 3), (5, 1);
        SELECT * FROM n;
        DELETE FROM n WHERE id = 2;
        SELECT * FROM n;
        CREATE TABLE m (id INTEGER PRIMARY KEY, up INT REFERENCES m(id));
        INSERT INTO m VALUES (1, 2), (2, 1);
        INSERT INTO m VALUES (3, 4);
        DELETE FROM m WHERE id = 1;
        DELETE FROM m;
        SELECT count(*) FROM m;
    """,
    "keys of every kind": """
        CREATE TABLE w (k TEXT, n INT, v, PRIMARY KEY (k, n)) WITHOUT ROWID;
        INSERT INTO w VALUES ('a', 1, 'x'), ('a', 2, 'y'), ('b', 1, 'z');
        INSERT INTO w VALUES ('a', 1, 'again');
        UPDATE w SET n = n + 10 WHERE k = 'a';
        SELECT * FROM w ORDER BY k, n;
        CREATE TABLE r (k TEXT NOT NULL PRIMARY KEY, v);
        INSERT INTO r VALUES ('one', 1), ('two', 2);
        INSERT INTO r VALUES ('one', 3) ON CONFLICT (k) DO UPDATE SET v = excluded.v RETURNING k, v;
        INSERT INTO r VALUES ('two', 3) ON CONFLICT DO NOTHING;
        SELECT * FROM r ORDER BY k;
        CREATE TABLE l (k TEXT PRIMARY KEY, v);
        INSERT INTO l VALUES (NULL, 1), (NULL, 2), ('k', 3);
        INSERT INTO l VALUES ('k', 4);
        SELECT * FROM l ORDER BY v;
        CREATE TABLE nopk (a, b);
        INSERT INTO nopk VALUES (1, 'x'), (1, 'x'), (2, NULL);
        DELETE FROM nopk WHERE a = 2;
        UPDATE nopk SET b = 'u' WHERE rowid = 1;
        SELECT a, b FROM nopk ORDER BY b;
        CREATE TABLE ci (name TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, v);
        INSERT INTO ci VALUES ('Ab', 1);
        INSERT INTO ci VALUES ('aB', 2);
        SELECT * FROM ci WHERE name = 'AB';
        INSERT INTO ci VALUES ('aB', 2) ON CONFLICT (name) DO UPDATE SET v = 5, name = excluded.name;
        SELECT * FROM ci;
        CREATE TABLE pkci (name TEXT NOT NULL, v, PRIMARY KEY (name COLLATE NOCASE));
        INSERT INTO pkci VALUES ('Ab', 1);
        INSERT INTO pkci VALUES ('aB', 2);
        SELECT * FROM pkci WHERE name = 'Ab';
        CREATE TABLE wrci (name TEXT, v, PRIMARY KEY (name COLLATE NOCASE)) WITHOUT ROWID;
        INSERT INTO wrci VALUES ('Ab', 1);
        INSERT INTO wrci VALUES ('aB', 2);
        SELECT * FROM wrci WHERE name = 'Ab';
        CREATE TABLE anys (a ANY, b INT) STRICT;
        INSERT INTO anys VALUES ('1', 2), (1, 3);
        CREATE INDEX anys_a ON anys (a);
        SELECT b FROM anys WHERE a = 1;
        SELECT b FROM anys WHERE a = '1';
        INSERT INTO anys VALUES (1, 'x');
        CREATE TABLE mix (id, v UNIQUE);
        INSERT INTO mix VALUES (1, 1), (2, '1'), (3, 1.5), (4, x'31'), (5, NULL), (6, NULL);
        INSERT INTO mix VALUES (7, 1.0);
        SELECT id FROM mix WHERE v = 1;
        SELECT id, typeof(v) FROM mix ORDER BY v, id;
    """,
    "generated columns": """
        CREATE TABLE g (id INTEGER PRIMARY KEY, a INT, v INT AS (a * 2), s INT AS (a * 3) STORED);
        INSERT INTO g (a) VALUES (1), (2);
        UPDATE g SET a = 10 WHERE id = 1;
        SELECT * FROM g ORDER BY id;
        CREATE UNIQUE INDEX gv ON g (v);
        INSERT INTO g (a) VALUES (10);
        INSERT INTO g (a) VALUES (11);
        SELECT * FROM g WHERE v = 22;
        DELETE FROM g WHERE v = 20;
        SELECT * FROM g ORDER BY id;
    """,
    "schema": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);
        INSERT INTO t (a) VALUES ('x'), ('y'), ('x');
        CREATE UNIQUE INDEX u ON t (a);
        CREATE INDEX i ON t (a);
        CREATE INDEX e ON t (upper(a)) WHERE id > 1;
        ALTER TABLE t ADD COLUMN b INT DEFAULT 7;
        ALTER TABLE t ADD COLUMN n TEXT NOT NULL;
        ALTER TABLE t ADD COLUMN n TEXT NOT NULL DEFAULT 'none';
        SELECT * FROM t ORDER BY id;
        UPDATE t SET b = 8 WHERE id = 2;
        SELECT id, a, b, n FROM t ORDER BY id;
        ALTER TABLE t RENAME COLUMN a TO name;
        SELECT id FROM t WHERE name = 'x' ORDER BY id;
        ALTER TABLE t DROP COLUMN b;
        SELECT * FROM t ORDER BY id;
        ALTER TABLE t RENAME TO things;
        SELECT * FROM t;
        SELECT * FROM things WHERE name = 'y';
        INSERT INTO things (name) VALUES ('z');
        SELECT name, n FROM things ORDER BY id;
        CREATE VIEW v AS SELECT name, count(*) AS c FROM things GROUP BY name;
        SELECT * FROM v ORDER BY name;
        CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT);
        CREATE TRIGGER tr AFTER INSERT ON things BEGIN INSERT INTO log (what) VALUES ('new ' || new.name); END;
        INSERT INTO things (name) VALUES ('p'), ('q');
        SELECT what FROM log ORDER BY id;
        CREATE TRIGGER no BEFORE DELETE ON things BEGIN SELECT raise(ABORT, 'never'); END;
        DELETE FROM things;
        DROP TRIGGER no;
        CREATE TABLE copy AS SELECT name, n FROM things;
        SELECT count(*) FROM copy;
        UPDATE copy SET n = name;
        SELECT * FROM copy ORDER BY name;
        DROP INDEX i;
        SELECT count(*) FROM things WHERE name = 'x';
        DROP VIEW v;
        DROP TABLE things;
        SELECT * FROM things;
        CREATE TABLE things (z);
        SELECT * FROM things;
        SELECT name, type FROM sqlite_master WHERE name NOT LIKE 'sqlite%' ORDER BY name;
    """,
    "queries": """
        CREATE TABLE a (id INTEGER PRIMARY KEY, n INT, t TEXT);
        CREATE INDEX an ON a (n, t);
        CREATE TABLE b (id INTEGER PRIMARY KEY, a INT, v TEXT);
        CREATE INDEX ba ON b (a);
        WITH RECURSIVE s(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM s WHERE x < 20)
            INSERT INTO a (id, n, t) SELECT x, x % 5, 'text' || (x % 3) FROM s;
        INSERT INTO b (a, v) SELECT id, t FROM a WHERE id % 2 = 0;
        SELECT * FROM a WHERE id = 3;
        SELECT * FROM a WHERE id IN (3, 5, '7', 99) ORDER BY id;
        SELECT * FROM a WHERE n = 2 AND t > 'text0' ORDER BY id;
        SELECT * FROM a WHERE n BETWEEN 1 AND 2 ORDER BY id;
        SELECT * FROM a WHERE n = '1' ORDER BY id;
        SELECT a.id, b.v FROM a LEFT JOIN b ON b.a = a.id AND b.v = 'text1' WHERE a.n = 1 ORDER BY a.id;
        SELECT a.id FROM a LEFT JOIN b ON b.a = a.id WHERE b.id IS NULL ORDER BY a.id;
        SELECT n, count(*) FROM a GROUP BY n HAVING count(*) > 1 ORDER BY n;
        SELECT id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.a = a.id AND b.v = 'text2') ORDER BY id;
        SELECT id FROM a WHERE id NOT IN (SELECT a FROM b) ORDER BY id;
        SELECT id FROM a WHERE n = 1 UNION SELECT a FROM b WHERE v = 'text0' ORDER BY 1;
        SELECT id, sum(n) OVER (ORDER BY id) FROM a WHERE id < 5;
        WITH a AS (SELECT 1 AS id) SELECT * FROM a WHERE id = 1;
        SELECT x.id, y.id FROM a x JOIN a y ON y.n = x.id WHERE x.id = 2 ORDER BY 2;
        SELECT json_extract('{"k": 5}', '$.k');
        SELECT * FROM a WHERE id = 2 OR n = 4 ORDER BY id;
        UPDATE a SET t = (SELECT v FROM b WHERE b.a = a.id) WHERE n = 0;
        SELECT * FROM a WHERE n = 0 ORDER BY id;
        UPDATE a SET n = b.id FROM b WHERE b.a = a.id;
        SELECT id, n FROM a ORDER BY id;
        DELETE FROM a WHERE id IN (SELECT a FROM b) RETURNING id;
        SELECT count(*) FROM a;
        SELECT nope FROM a;
        SELECT * FROM nothing;
        SELEC 1;
        SELECT 1, 'x', NULL, 2.5;
    """,
    "savepoints": """
        CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE);
        INSERT INTO t VALUES (1, 'one'), (2, 'two');
        SAVEPOINT s1;
        SELECT count(*) FROM t;
        UPDATE t SET a = 'uno' WHERE id = 1;
        SAVEPOINT s2;
        DELETE FROM t;
        INSERT INTO t VALUES (3, 'one');
        ROLLBACK TO s2;
        SELECT * FROM t ORDER BY id;
        RELEASE s2;
        ROLLBACK TO s1;
        SELECT * FROM t ORDER BY id;
        CREATE TABLE u (x);
        INSERT INTO u VALUES (1);
        ROLLBACK TO s1;
        SELECT * FROM u;
        RELEASE s1;
        RELEASE s1;
        INSERT OR FAIL INTO t VALUES (5, 'five'), (6, 'two'), (7, 'seven');
        SELECT * FROM t ORDER BY id;
    """,
}


def statements(name: str) -> list[str]:
    script, found, left = SCRIPTS[name], [], ""
    for line in script.splitlines():
        left += line + "\n"
        if sqlite3.complete_statement(left):
            found.append(left.strip().rstrip(";"))
            left = ""
    return found


def outcome(connection: object, sql: str) -> object:
    try:
        cursor = connection.execute(sql)  # type: ignore[attr-defined]
        rows = cursor.fetchall()
        names = [column[0] for column in cursor.description] if cursor.description else None
        affected = cursor.rowcount if sql.split(maxsplit=1)[0] in ("INSERT", "UPDATE", "DELETE") else None
        return rows, [tuple(map(type, row)) for row in rows], names, affected
    except rome.dbapi.Error as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize("every", [1, 2, 3, 1000])
@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str, every: int) -> None:
    if name == "savepoints" and every != 1000:
        pytest.skip("a commit would end the savepoints of this script")
    url = f"rome+memory:///script{next(NUMBER)}"
    ours = rome.connect(url)
    theirs = Reference()
    theirs.execute("BEGIN")
    for number, sql in enumerate(statements(name)):
        assert outcome(ours, sql) == outcome(theirs, sql), sql
        if number % every == 0:
            ours.commit()
            theirs.execute("COMMIT")
            theirs.execute("BEGIN")
            assert check_database(url) == []
    ours.commit()
    assert check_database(url) == []
    ours.close()
