"""What ``add_step`` does."""
