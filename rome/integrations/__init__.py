"""ROME for libraries that know databases by their dialect: Alembic, oslo.db, sqlalchemy-migrate and Nova.

Nothing here is imported before the library that it is for (`rome.dialect.plugins`).
"""
