"""Fixtures of the browser tests."""

from tests.fixtures.browser import visit

__all__ = ["visit"]
