"""What ``get_run_with_states`` does."""
