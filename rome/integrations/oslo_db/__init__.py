"""Integration with oslo.db. `rome.dialect.plugins` imports its modules in a program that uses oslo.db."""
