"""Statements rewritten for the workspace: sequence numbers in INSERT, row keys in SELECT … FOR UPDATE."""
