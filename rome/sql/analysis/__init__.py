"""Semantic analysis: which tables a statement refers to, and which predicates hold for their rows."""
