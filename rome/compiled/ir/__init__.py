"""The intermediate representation of a query: bound expressions and query blocks."""
