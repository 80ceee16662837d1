"""ROME for oslo.db. Registered by `rome.dialect.integrations` in a program that uses oslo.db."""
