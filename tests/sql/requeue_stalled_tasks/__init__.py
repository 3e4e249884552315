"""What ``requeue_stalled_tasks`` does."""
