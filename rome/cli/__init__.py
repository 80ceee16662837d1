"""The `rome` command: look into a database, check it, copy it, run SQL.

    main        the group of commands; each command is a module that is imported when it is run
    options     the URL argument and the options that commands share
    failures    errors as one sentence and an exit code
    inspect     tables, keys, locks, plans
    live        commits, processes and statements as they happen
    copy, shell, console    commands of several modules
    checkout    what is only in the sources: the demonstration, the benchmarks
    opened      a database at one version, for commands that read the store below SQL
    values      SQL values as text and as JSON
    formats     rows as a table that fits the terminal, CSV, JSON, Markdown

`docs/command` describes the commands for their users.
"""
