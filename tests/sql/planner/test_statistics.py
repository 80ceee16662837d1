"""Statistics: what they learn from fetched rows, and how plans use it."""

from rome.sql.planner.access_path import KeyPath
from rome.sql.planner.bind import bind_count, bind_step
from rome.sql.planner.skew import classes
from rome.sql.planner.statistics import Statistics
from rome.storage.store import Scan, rows_space
from tests.sql.schema import CATALOG, plan_reads

JOIN = "SELECT * FROM p JOIN c ON c.pid = p.id WHERE p.host = ?"


def test_a_small_table_is_read_in_the_first_round() -> None:
    statistics = Statistics()
    assert str(plan_reads(JOIN, CATALOG, statistics)).count("round") == 2
    statistics.note_row_count(CATALOG.tables["c"], 60)
    assert str(plan_reads(JOIN, CATALOG, statistics)) == (
        "round 1\n  index lookup on p using p_host (host = ?1)\n  full scan of c"
    )


def test_a_small_table_gets_no_full_scan_if_keys_are_known() -> None:
    statistics = Statistics()
    statistics.note_row_count(CATALOG.tables["p"], 1)
    for sql in ("SELECT * FROM p WHERE id = ?", "SELECT * FROM p WHERE host = ?", "DELETE FROM p WHERE n < ?"):
        assert "full scan" not in str(plan_reads(sql, CATALOG, statistics))


def test_an_unselective_index_gives_way_to_keys_of_other_rows() -> None:
    sql = "SELECT * FROM p JOIN c ON c.pid = p.id WHERE p.id IN (1, 2) AND c.name = ?"
    statistics = Statistics()
    plan = plan_reads(sql, CATALOG, statistics)
    assert "on c using c_pid" in str(plan)
    for step in plan.steps:
        if step.table.name == "c":
            statistics.note(step.table, step.path, bind_step(step, ["a"], lambda _: ()), 4000)
    assert plan.basis.is_outdated()
    assert "on c using c_name" in str(plan_reads(sql, CATALOG, statistics))


def test_a_plan_is_outdated_only_by_the_numbers_it_is_based_on() -> None:
    statistics = Statistics()
    plan = plan_reads(JOIN, CATALOG, statistics)
    assert not plan.basis.is_outdated()
    statistics.note_row_count(CATALOG.tables["g"], 3)
    statistics.note_row_count(CATALOG.tables["c"], 90_000)
    assert not plan.basis.is_outdated()
    statistics.note_row_count(CATALOG.tables["c"], 20_000)
    assert plan.basis.is_outdated()
    assert not plan_reads(JOIN, CATALOG, statistics).basis.is_outdated()


def test_a_full_scan_records_the_size_of_the_table() -> None:
    statistics = Statistics()
    table = CATALOG.tables["p"]
    (step,) = plan_reads("SELECT * FROM p", CATALOG).steps
    assert not statistics.has_row_count(table)
    statistics.note(step.table, step.path, [Scan(rows_space(table.id))], 7)
    assert statistics.row_count(table) == 7
    statistics.forget()
    assert not statistics.has_row_count(table)


def test_counts_are_recorded() -> None:
    statistics = Statistics()
    for sql, parameters, number in [
        ("SELECT count(*) FROM c", [], 9),
        ("SELECT count(*) FROM c WHERE pid IN (?, ?)", [1, 2], 500),
    ]:
        step = plan_reads(sql, CATALOG).count_step
        request = bind_count(step, parameters) if step else None
        assert step is not None
        assert request is not None
        statistics.note(step.table, step.path, [request], number)
    (of_key,) = plan_reads("SELECT * FROM c WHERE pid = ?", CATALOG).steps
    assert isinstance(of_key.path, KeyPath)
    assert statistics.row_count(CATALOG.tables["c"]) == 9
    assert statistics.rows_per_key(CATALOG.tables["c"], of_key.path) == 250


def test_more_keys_than_rows_lead_to_a_full_scan() -> None:
    (_, step) = plan_reads(JOIN, CATALOG).steps
    table, rows = CATALOG.tables["c"], [(number, None, None, None) for number in range(1000)]
    statistics = Statistics()
    whole = (Scan(rows_space(table.id)),)
    assert bind_step(step, ["h"], lambda _: rows) != whole
    statistics.note_row_count(table, 500)
    assert bind_step(step, ["h"], lambda _: rows, statistics=statistics) == whole
    statistics.note_row_count(table, 50_000)
    assert bind_step(step, ["h"], lambda _: rows * 6, statistics=statistics) != whole
    assert bind_step(step, ["h"], lambda _: [(number, None, None, None) for number in range(5000)]) == whole


def test_selectivity_is_a_moving_average() -> None:
    """One value that matches nothing weighs no more than the others."""
    statistics = Statistics()
    assert statistics.selectivity(1) is None
    for _ in range(3):
        statistics.note_selectivity(1, 90, 100)
    statistics.note_selectivity(1, 0, 1000)
    rate = statistics.selectivity(1) or 0
    assert 0.1 < rate < 0.2
    statistics.nudge_selectivity(1)
    assert (statistics.selectivity(1) or 0) > rate
    for _ in range(20):
        statistics.note_selectivity(1, 90, 100)
    assert (statistics.selectivity(1) or 0) > 0.85
    statistics.nudge_selectivity(2)
    assert statistics.selectivity(2) is None


def test_topn_plans_only_where_they_cost_less() -> None:
    """No batches if the whole table is known to be small, or if the conditions lead to fewer rows."""
    sql = "SELECT * FROM c JOIN p ON p.id = c.pid ORDER BY c.id LIMIT 20"
    statistics = Statistics()
    plan = plan_reads(sql, CATALOG, statistics)
    assert plan.topn is not None
    statistics.note_row_count(CATALOG.tables["c"], 15)
    statistics.note_row_count(CATALOG.tables["p"], 30)
    assert plan.basis.is_outdated()
    assert plan_reads(sql, CATALOG, statistics).topn is None
    of_host = "SELECT * FROM p WHERE host = ? ORDER BY n LIMIT 20"
    statistics.note_row_count(CATALOG.tables["p"], 100_000)
    assert plan_reads(of_host, CATALOG, statistics).topn is None
    (step,) = plan_reads(of_host, CATALOG, statistics).steps
    statistics.note(step.table, step.path, bind_step(step, ["h"], None), 40_000)
    assert plan_reads(of_host, CATALOG, statistics, ["h"]).topn is not None
    assert plan_reads(of_host, CATALOG, statistics, ["g"]).topn is None, "another host has fewer"


OF_HOST = "SELECT * FROM p WHERE host = ?"


def note_host(statistics: Statistics, host: str, rows: int) -> None:
    (step,) = plan_reads(OF_HOST, CATALOG, statistics).steps
    statistics.note(step.table, step.path, bind_step(step, [host], None), rows)


def rows_of_host(statistics: Statistics, host: str) -> float:
    (step,) = plan_reads(OF_HOST, CATALOG, statistics, [host]).steps
    return step.rows


def test_a_frequent_key_does_not_raise_the_average_of_the_others() -> None:
    statistics = Statistics()
    note_host(statistics, "many", 50_000)
    for number in range(5):
        note_host(statistics, f"h{number}", 10)
    assert rows_of_host(statistics, "many") == 50_000
    assert rows_of_host(statistics, "h1") == rows_of_host(statistics, "new") < 60
    note_host(statistics, "many", 12)
    assert rows_of_host(statistics, "many") < 60, "it is not frequent any more"


def test_many_frequent_keys_are_no_exceptions() -> None:
    statistics = Statistics()
    for number in range(9):
        note_host(statistics, f"h{number}", 2_000)
    assert rows_of_host(statistics, "new") == 2_000


def test_a_plan_for_frequent_keys_is_not_one_for_others() -> None:
    statistics = Statistics()
    before = plan_reads(JOIN, CATALOG, statistics, ["many"])
    assert not before.basis.skewed
    note_host(statistics, "many", 50_000)
    assert before.basis.is_outdated()
    basis = plan_reads(JOIN, CATALOG, statistics, ["many"]).basis
    assert classes(basis, ["many"]) == basis.classes != classes(basis, ["few"])
    assert basis.under(statistics) is None, "other databases have other frequent keys"


def test_a_plan_by_a_unique_key_does_not_depend_on_values() -> None:
    statistics = Statistics()
    note_host(statistics, "many", 50_000)
    assert not plan_reads(
        "SELECT * FROM p WHERE host = ? AND uuid = ?", CATALOG, statistics, ["many", "u"]
    ).basis.skewed
