"""`python -m rome.cli` is the command `rome`."""

from rome.cli.main import main

main(prog_name="rome")
