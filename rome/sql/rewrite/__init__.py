"""Texts changed for the workspace: ids from a counter in INSERT, row keys in SELECT … FOR UPDATE."""
