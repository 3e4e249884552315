"""What ``fail_task`` does."""
