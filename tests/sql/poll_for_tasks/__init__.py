"""What ``poll_for_tasks`` does."""
