"""The code generator: from the intermediate representation to the source of a Python function."""
