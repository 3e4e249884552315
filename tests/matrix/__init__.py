"""The suite's SQL on every PostgreSQL that can be had: ``make test-matrix``."""
