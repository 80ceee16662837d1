"""The text of statements: tokens, statement kinds, DDL, and the parse of the normalized form. No catalog."""
