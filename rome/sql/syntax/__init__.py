"""The text of a statement: tokens, classification, DDL, simple DML, and the parse of its normalized form."""
