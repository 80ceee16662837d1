"""Integrations with libraries that keep a registry of dialects: Alembic, oslo.db, sqlalchemy-migrate and Nova.

Each is imported only after the library that it is for (`rome.dialect.plugins`).
"""
