"""What ``create_flow`` does."""
