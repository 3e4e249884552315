"""What ``exchange`` does."""
