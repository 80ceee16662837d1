"""ROME for oslo.db. Registered by `rome.dialect.plugins` in a program that uses oslo.db."""
