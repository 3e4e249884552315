"""What ``mark_worker_stopped`` does."""
