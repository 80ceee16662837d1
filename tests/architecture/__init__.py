"""The architecture, checked: `python -m tests.architecture` prints the layers and every violation."""
