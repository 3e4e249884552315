"""Chaos: ``make chaos``. Workers and Postgres are killed under ordinary flows, whose answers must stay right."""
