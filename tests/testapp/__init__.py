"""A Django app with flows, for the tests."""
