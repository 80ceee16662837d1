"""SQLite, the evaluator of record.

workspace           runs statements over the rows that were fetched for them, and records their changes
workspace_schema    creates the catalog's objects in the workspace
catalog_reader      reads the catalog back from SQLite after a DDL statement
errors              translates SQLite's errors into PEP 249's
"""
