"""A database as a process sees it: its store, and what connections share."""
