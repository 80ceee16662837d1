"""Semantic analysis: the table references of a statement, and the predicates that hold for their rows.

`analyze` runs the steps in their order; `relation` is what comes out of them. `context` holds what the steps share.
"""
