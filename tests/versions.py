"""Marks for tests that need a newer release of a package than the lowest that setup.cfg admits."""

import pytest
import sqlalchemy

HAS_SQLALCHEMY_2 = not sqlalchemy.__version__.startswith("1.")

needs_sqlalchemy_2 = pytest.mark.skipif(not HAS_SQLALCHEMY_2, reason="needs SQLAlchemy 2.0")
