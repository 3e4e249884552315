"""What ``cascade_resolve_conditions`` does."""
