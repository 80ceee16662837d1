"""What is written for SQLite in models that know nothing of ROME, and holds for ROME too.

Models carry type variants such as `BigInteger().with_variant(Integer, "sqlite")`. SQLAlchemy finds them by the name of
the dialect, so under the name `rome` they would be lost, although the columns are SQLite's. `chosen_type` takes a
variant for `rome` if there is one, else the one for `sqlite`. SQLAlchemy asks for a type's form in two places, and
`RomeDialect` calls `chosen_type` in both: `type_descriptor` (values, in and out) and the type compiler's `process`
(DDL).

Two other ways of naming a dialect are looked up by SQLAlchemy itself, where no dialect has a say, and do not fall back:

* `@compiles(Construct, "sqlite")`: name both, `@compiles(Construct, "sqlite", "rome")`.
* `DDL(…).execute_if(dialect="sqlite")`: name both, `execute_if(dialect=("sqlite", "rome"))`.

Code of an application that compares `dialect.name` with "sqlite" is its own; ROME does not pretend to be SQLite there.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.types import TypeEngine

from rome.dialect import compat14


def chosen_type(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """The variant of a type that holds on ROME; the type itself if it has none."""
    variants = compat14.variants_of(type_)
    for name in ("rome", "sqlite"):
        if name in variants:
            chosen: TypeEngine[Any] = variants[name]
            return chosen
    return type_
