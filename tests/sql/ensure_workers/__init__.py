"""What ``ensure_workers`` does."""
