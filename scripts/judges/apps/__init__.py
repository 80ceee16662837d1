"""Other people's applications. Each module has `run(url, folder)`.

It uses the application as its users do, with a database at a URL that does not exist yet, and returns observations: a
name → a value that JSON can express, which must be the same on each database. `folder` is an empty folder for files.
"""
