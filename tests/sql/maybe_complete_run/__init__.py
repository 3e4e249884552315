"""What ``maybe_complete_run`` does."""
