"""SQL of other databases in copies: what is translated, and what is refused."""

import pytest

from rome.cli.copy.translate import Kind, Untranslatable, translated

KINDS = {"state": Kind.TEXT, "name": Kind.TEXT, "age": Kind.INTEGER}


@pytest.mark.parametrize(
    ("source", "sql", "expected"),
    [
        ("postgresql", "price >= 0::numeric", '"price" >= 0'),
        ("postgresql", "price > '-1'::integer::numeric OR price IS NULL", None),
        (
            "postgresql",
            "((state)::text = ANY ((ARRAY['on'::character varying, 'off'::character varying])::text[]))",
            "((\"state\") IN ('on', 'off'))",
        ),
        (
            "postgresql",
            "state::text <> ALL (ARRAY['x'::character varying::text, 'y'::text])",
            "NOT (\"state\" IN ('x', 'y'))",
        ),
        ("postgresql", "length(name) > 2 AND lower(name) = name", 'LENGTH("name") > 2 AND LOWER("name") = "name"'),
        ("postgresql", "(age)::integer > 60", '("age") > 60'),
        ("postgresql", "price::integer > 60", None),
        ("postgresql", "name ~ '^a'", None),
        ("postgresql", "name < 'm'", None),
        ("postgresql", "a / 2 > 1", None),
        ("postgresql", "name LIKE 'a%'", None),
        ("postgresql", "made_at > now()", None),
        ("mysql", "`a` >= 0 and `a` <> `b`", '"a" >= 0 AND "a" <> "b"'),
        ("mysql", "`state` = 'on'", None),
        ("mysql", "length(`state`) > 3", None),
        ("mysql", "char_length(`state`) > 3", 'LENGTH("state") > 3'),
        ("mysql", "`a` || `b`", '"a" OR "b"'),
        ("sqlite", "a BETWEEN 1 AND 3", '"a" BETWEEN 1 AND 3'),
        (
            "postgresql",
            " SELECT p.id,\n    count(*) AS n\n   FROM public.p\n  WHERE p.price > 5::numeric\n  GROUP BY p.id;",
            'SELECT "p"."id", COUNT(*) AS "n" FROM "p" WHERE "p"."price" > 5 GROUP BY "p"."id"',
        ),
        ("postgresql", "SELECT id FROM other.p", None),
        ("postgresql", "SELECT id FROM p ORDER BY id LIMIT 3", None),
        ("postgresql", "SELECT DISTINCT ON (id) id, name FROM p", None),
        ("postgresql", "SELECT row_number() OVER (ORDER BY id) FROM p", None),
        ("postgresql", "SELECT max(name) FROM p", None),
        ("postgresql", "((", None),
        ("oracle", "a > 1", None),
    ],
)
def test_translation(source, sql, expected):
    if expected is None:
        with pytest.raises(Untranslatable):
            translated(sql, source, "rome", KINDS, "public")
    else:
        assert translated(sql, source, "rome", KINDS, "public") == expected
