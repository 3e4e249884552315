"""The core against a model of its contract in plain Python."""
