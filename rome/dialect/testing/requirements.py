"""Requirements: which tests of SQLAlchemy's dialect suite apply to ROME.

SQLAlchemy decides many requirements by the dialect's name, so under a new name most features of SQLite count as
missing. Three tables list the differences from SQLAlchemy's defaults; they correspond to what SQLAlchemy's own tests
declare for its SQLite dialect:

* `OPEN`: the tests run and have to pass.
* `FAILS`: the tests run and have to fail; SQLAlchemy reports one that begins to pass.
* `CLOSED`: the tests don't run, for the reason given.

ROME opens three that are closed on SQLite: `savepoints` (the driver needs no workaround), `independent_connections`
(several connections to one database) and `foreign_keys` (enforced by default). `CLOSED_BUT_OPEN_ON_SQLITE` lists what
runs on SQLite and not on ROME.

Each requirement is a property that returns a new exclusion: the test that an exclusion decorates modifies it, and a
shared one would drop tests silently.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

from rome.dialect.isolation import driver_name, sqlalchemy_name

OPEN = (
    # tables, indexes, views
    "computed_columns",
    "computed_columns_reflect_persisted",
    "computed_columns_stored",
    "computed_columns_virtual",
    "create_table_as",
    "create_temp_table_as",
    "expression_server_defaults",
    "foreign_keys",
    "has_temp_table",
    "index_ddl_if_exists",
    "indexes_with_expressions",
    "percent_schema_names",
    "repeated_column_foreign_keys",
    "repeated_remote_col_foreign_keys",
    "server_defaults",
    "table_ddl_if_exists",
    "temp_table_names",
    "temporary_views",
    "unicode_ddl",
    "views",
    # reflection
    "check_constraint_reflection",
    "fk_constraint_option_reflection_ondelete_noaction",
    "fk_constraint_option_reflection_ondelete_restrict",
    "fk_constraint_option_reflection_onupdate_restrict",
    "foreign_key_constraint_name_reflection",
    "foreign_key_constraint_option_reflection_ondelete",
    "foreign_key_constraint_option_reflection_onupdate",
    "indexes_check_column_order",
    "inline_check_constraint_reflection",
    "reflect_table_options",
    "reflects_pk_names",
    "view_column_reflection",
    "view_reflection",
    # queries
    "boolean_col_expressions",
    "ctes",
    "ctes_with_values",
    "except_",
    "fetch_expression",
    "fetch_offset_with_options",
    "intersect",
    "mod_operator_as_percent_sign",
    "nullsordering",
    "order_by_collation",
    "order_by_label_with_expression",
    "regexp_match",
    "supports_bitwise_and",
    "supports_bitwise_not",
    "supports_bitwise_or",
    "supports_bitwise_shift",
    "supports_bitwise_xor",
    "tuple_in",
    "tuple_in_w_empty",
    "update_from",
    "window_functions",
    "window_range",
    "window_range_numeric",
    # types
    "date_historic",
    "datetime_historic",
    "datetime_literals",
    "float_or_double_precision_behaves_generically",
    "infinity_floats",
    "json_array_indexes",
    "json_type",
    "legacy_unconditional_json_extract",
    "nvarchar_types",
    "precision_numerics_enotation_small",
    "precision_numerics_retains_significant_digits",
    # connections and transactions
    "autocommit",
    "dbapi_lastrowid",
    "emulated_lastrowid",
    "emulated_lastrowid_even_with_sequences",
    "independent_connections",
    "independent_readonly_connections",
    "isolation_level",
    "savepoints",
    "skip_autocommit_rollback",
)

FAILS = {
    "cast_precision_numerics_many_significant_digits": "a NUMERIC is stored as an 8-byte float",
    "numeric_received_as_decimal_untyped": "a value without a SQLAlchemy type is returned as a float",
    "parens_in_union_contained_select_w_limit_offset": "SQLite does not allow parentheses around a SELECT of a UNION",
    "parens_in_union_contained_select_wo_limit_offset": "SQLite does not allow parentheses around a SELECT of a UNION",
    "precision_numerics_many_significant_digits": "a NUMERIC is stored as an 8-byte float",
}

CLOSED = {
    "json_index_supplementary_unicode_element": "SQLite's JSON paths do not find keys that are escaped as surrogates",
    "nested_aggregates": "SQLite does not allow an aggregate of an aggregate of the outer query",
}

CLOSED_UNDER_THE_NAME_SQLITE = {
    "implicitly_named_constraints": "as on SQLite, a constraint that is declared without a name has none",
}

CLOSED_BUT_OPEN_ON_SQLITE = {
    "schemas": "a ROME database is one schema; SQLite's tests ATTACH a second file under the name test_schema",
}


class Requirements(SuiteRequirements):
    """The class for `requirement_cls` in the `[sqla_testing]` section of a test configuration."""

    def get_order_by_collation(self, config: Any) -> str:
        return "NOCASE"

    def get_isolation_levels(self, config: Any) -> dict[str, Any]:
        """Return the levels to test, without second names of a level: the first name is reported."""
        levels: dict[str, Any] = super().get_isolation_levels(config)
        return {
            **levels,
            "supported": [level for level in levels["supported"] if sqlalchemy_name(driver_name(level)) == level],
        }


def _requirement(make: Callable[[], Any]) -> property:
    return property(lambda requirements: make())


def _closed(reason: str) -> Callable[[], Any]:
    return lambda: exclusions.skip_if(lambda: True, reason)


def _fails(reason: str) -> Callable[[], Any]:
    return lambda: exclusions.fails_if(lambda: True, reason)


for _name in OPEN:
    setattr(Requirements, _name, _requirement(exclusions.open))
for _name, _reason in {**CLOSED, **CLOSED_BUT_OPEN_ON_SQLITE}.items():
    setattr(Requirements, _name, _requirement(_closed(_reason)))
for _name, _reason in CLOSED_UNDER_THE_NAME_SQLITE.items():
    setattr(Requirements, _name, _requirement(partial(exclusions.skip_if, "sqlite", _reason)))
for _name, _reason in FAILS.items():
    setattr(Requirements, _name, _requirement(_fails(_reason)))
