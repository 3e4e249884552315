"""What ``complete_task`` does."""
