"""What ``start_ready_steps`` does."""
