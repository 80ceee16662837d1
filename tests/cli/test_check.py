"""`rome check` finds and repairs damage."""

import pytest

import rome
from rome.database.registry import open_database, release_database
from rome.storage.store import Batch, Range, Write, index_space, row_counter, rows_space
from rome.testing.check import check_database
from rome.url import parse_url


@pytest.fixture
def damage(towns):
    """A function that writes to the store, past all constraints."""
    database = open_database(parse_url(towns))
    catalog = database.catalog(database.store.fetch([]))

    def write(*writes):
        database.store.commit(Batch(f"damage {database.store.version()}".encode(), writes=writes))

    write.store, write.towns, write.streets = database.store, catalog.table("towns"), catalog.table("streets")
    yield write
    release_database(database)


def entries(damage):
    space = index_space(damage.towns.indexes[0].id)
    return [entry for entry, _ in damage.store.fetch([Range(space)]).answers[0]]


def test_sound_database(run, towns):
    assert run("check", towns).out == "no faults\n"
    assert run("check", "--json", towns).json == {"faults": [], "repaired": 0}


def test_counters_after_explicit_ids(run, towns):
    with rome.connect(towns) as connection:
        connection.execute("INSERT INTO towns VALUES (900, 'Capua', 1)")
        connection.execute("UPDATE towns SET id = 2000 WHERE id = 2")
    connection.close()
    run("check", towns)


def test_removed_entry_is_found_and_repaired(run, towns, damage):
    before = entries(damage)
    damage(Write(index_space(damage.towns.indexes[0].id), before[0], None))
    ended = run("check", towns, code=3)
    assert "index: table towns: index sqlite_autoindex_towns_1 lacks the entry" in ended.out
    assert "1 fault\n" in ended.out
    assert "1 index entries repaired" in run("check", towns, "--repair").out
    assert entries(damage) == before
    assert run("check", towns).out == "no faults\n"


def test_entry_without_its_row_is_found_and_repaired(run, towns, damage):
    codec = damage.towns.index_codecs[damage.towns.indexes[0].id]
    damage(Write(codec.space, codec.entry((9, "Orphan", None), damage.towns.row_codec.encode((9,))), b""))
    assert "has an entry without its row" in run("check", towns, code=3).out
    run("check", towns, "--repair")
    assert run("check", towns).out == "no faults\n"


def test_changed_byte_is_found_but_not_repaired(run, towns, damage):
    key = damage.towns.row_codec.encode((1,))
    (((_, data), *_),) = damage.store.fetch([Range(rows_space(damage.towns.id))]).answers
    damage(Write(rows_space(damage.towns.id), key, b"\xc1" + data[1:]))
    faults = run("check", "--json", towns, "--repair", code=3).json["faults"]
    assert [(each["kind"], each["table"]) for each in faults if each["kind"] != "foreign key"] == [("row", "towns")]


def test_row_under_a_wrong_key(run, towns, damage):
    (((_, data), *_),) = damage.store.fetch([Range(rows_space(damage.towns.id))]).answers
    damage(Write(rows_space(damage.towns.id), damage.towns.row_codec.encode((77,)), data))
    assert "key: table towns: the row (1, 'Roma', 1285.0) has the key" in run("check", towns, code=3).out


def test_orphan_and_duplicate(run, towns, damage):
    with rome.connect(towns, foreign_keys=False) as connection:
        connection.execute("DELETE FROM towns WHERE id = 1")
    connection.close()
    assert (
        "foreign key: table streets: (town) refers to (1,), which towns does not have"
        in run("check", towns, code=3).out
    )
    assert run("check", towns, "--no-foreign-keys").out == "no faults\n"
    (((_, data), *_),) = damage.store.fetch([Range(rows_space(damage.towns.id))]).answers
    key = damage.towns.row_codec.encode((5,))
    twin = data.replace(b"\x02", b"\x05", 1)
    codec = damage.towns.index_codecs[damage.towns.indexes[0].id]
    damage(Write(rows_space(damage.towns.id), key, twin), Write(codec.space, codec.entry((5, "Ostia", None), key), b""))
    assert "unique: table towns: the rows (2,) and (5,) have the same key" in run("check", towns, code=3).out


def test_counter_that_is_not_beyond_its_rows(run, towns, damage):
    following = damage.store.allocate(row_counter(damage.towns.id), 0)
    assert damage.store.allocate(row_counter(damage.towns.id), 0) == following, "taking no number changes nothing"
    (pairs,) = damage.store.fetch([Range(rows_space(damage.towns.id))]).answers
    key = damage.towns.row_codec.encode((100,))
    damage(
        Write(rows_space(damage.towns.id), key, pairs[1][1].replace(b"\x02", b"\x64", 1).replace(b"Ostia", b"Nowhe"))
    )
    assert f"the next id is {following}, but a row has the id 100" in run("check", towns, code=3).out


def test_sentences_of_check_database(towns, damage):
    assert check_database(towns) == []
    damage(Write(index_space(damage.towns.indexes[0].id), entries(damage)[0], None))
    (sentence,) = check_database(towns)
    assert sentence.startswith("table towns: index sqlite_autoindex_towns_1 lacks the entry")
