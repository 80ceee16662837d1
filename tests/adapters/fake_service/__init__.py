"""A minimal service, with its database API in a module like that of real services."""
