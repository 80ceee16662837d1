"""Hooks of SQLAlchemy's dialect suite: requirements and provisioning."""
