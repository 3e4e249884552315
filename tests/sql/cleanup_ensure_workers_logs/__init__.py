"""What ``cleanup_ensure_workers_logs`` does."""
