"""Drivers of other libraries, each run by a Python that has that library."""
