"""What ``is_local`` does."""
