"""The functions that generated code calls: SQLite's conversions, operators and functions over Python values.

    values        conversions by affinity and collation, comparisons, three-valued logic
    arithmetic    operators and functions of numbers
    text          LIKE, GLOB and functions of texts
    rows          sorting, LIMIT, grouping, compound operators, IN
    aggregates    sum, count, min, …

Each does exactly what SQLite does, or raises UnsupportedValue.
"""
