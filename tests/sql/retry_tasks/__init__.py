"""What ``retry_tasks`` does."""
