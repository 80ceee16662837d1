"""From the intermediate representation to the text of a Python function."""
