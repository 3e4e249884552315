"""What ``requeue_lost_tasks`` does."""
