"""`rome shell`: SQL at a prompt, from -c, or from a pipe.

command       the options
session       one connection: runs statements and writes their results
dot_commands  .tables, .schema, .import …
cancel        runs a statement so that Ctrl-C stops it
interactive   the prompt: history, several lines, completion
completion    keywords, tables and columns
"""
