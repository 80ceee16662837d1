"""Integrations with libraries that know dialects by name: Alembic, oslo.db, SQLAlchemy-Utils,
sqlalchemy-migrate and Nova.

Each is imported only after the library that it is for (`rome.dialect.plugins`).
"""
