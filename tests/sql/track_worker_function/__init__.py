"""What ``track_worker_function`` does."""
