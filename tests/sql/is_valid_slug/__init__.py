"""What ``is_valid_slug`` does."""
