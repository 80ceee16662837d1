"""The tokenizer, checked against texts that SQLite's own accepts or refuses."""

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rome.sql.syntax.tokens import TokenKind, names, split_script, tokenize


def kinds(sql: str) -> list[tuple[str, str]]:
    return [(token.kind.value, token.text) for token in tokenize(sql)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a_1$", [("word", "SELECT"), ("word", "a_1$")]),
        ("'it''s'", [("string", "'it''s'")]),
        ('"a""b" [c d] `e``f`', [("quoted", '"a""b"'), ("quoted", "[c d]"), ("quoted", "`e``f`")]),
        ("x'0aFF' X''", [("blob", "x'0aFF'"), ("blob", "X''")]),
        ("x'0a0'", [("illegal", "x'0a0'")]),
        ("1 1.5 .5 5.", [("number", "1"), ("number", "1.5"), ("number", ".5"), ("number", "5.")]),
        ("1e3 1.5E-7 0x1F 1_0", [("number", "1e3"), ("number", "1.5E-7"), ("number", "0x1F"), ("number", "1_0")]),
        ("12abc", [("illegal", "12abc")]),
        ("? ?12 :a @b", [("param", "?"), ("param", "?12"), ("param", ":a"), ("param", "@b")]),
        ("$c :a::b $x(y)", [("param", "$c"), ("param", ":a::b"), ("param", "$x(y)")]),
        ("a->>'$.b'", [("word", "a"), ("op", "->>"), ("string", "'$.b'")]),
        ("<>!===||", [("op", "<>"), ("op", "!="), ("op", "=="), ("op", "||")]),
        ("a -- note ' \n b /* ' */ c /* open", [("word", "a"), ("word", "b"), ("word", "c")]),
        ("a / * b", [("word", "a"), ("op", "/"), ("op", "*"), ("word", "b")]),
        ("t.a", [("word", "t"), ("op", "."), ("word", "a")]),
        ("größe", [("word", "größe")]),
        ("'open", [("illegal", "'open")]),
        ("[open", [("illegal", "[open")]),
        (":", [("illegal", ":")]),
        ("", []),
    ],
)
def test_kinds(sql: str, expected: list[tuple[str, str]]) -> None:
    assert kinds(sql) == expected


def test_positions_lead_back_into_the_text() -> None:
    sql = "SELECT  'a' /* x */ || ?2"
    for token in tokenize(sql):
        assert sql[token.start : token.end] == token.text


def test_names_are_unquoted_and_lower() -> None:
    assert names("SELECT T.\"My Col\" FROM [Tab] JOIN 'odd' -- Hidden") == {
        "select",
        "t",
        "my col",
        "from",
        "tab",
        "join",
        "odd",
    }


def test_script_is_split_at_statements() -> None:
    trigger = "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; DELETE FROM t; END"
    script = f"CREATE TABLE t(a); -- one; two\n ;;\n{trigger};\nINSERT INTO t VALUES (';')"
    assert split_script(script) == ["CREATE TABLE t(a)", trigger, "INSERT INTO t VALUES (';')"]


PIECES = ["--c\n", "/*c*/", "0x1", "e5", "x'00'", "'x'", ":n", "\u00e9", *"a1?+();- '\"[]`.,_$!=#@<>|"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_illegal_is_what_sqlite_refuses(sql: str) -> None:
    """If SQLite reports an unrecognized token, there is one of kind ILLEGAL."""
    try:
        apsw.Connection(":memory:").execute("SELECT " + sql, can_cache=False)
    except apsw.Error as error:
        if "unrecognized token" in str(error):
            assert any(token.kind is TokenKind.ILLEGAL for token in tokenize("SELECT " + sql))
