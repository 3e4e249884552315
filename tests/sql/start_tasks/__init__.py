"""What ``start_tasks`` does."""
