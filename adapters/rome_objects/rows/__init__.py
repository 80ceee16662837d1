"""Objects and the rows of their models' tables.

mapping         fields and values of columns
query           filters, sort keys and markers as SQL
loading         rows as objects, with the relationships that a caller names
relationships   saving what was assigned to relationships
soft_deletion   rows that are marked as deleted
"""
