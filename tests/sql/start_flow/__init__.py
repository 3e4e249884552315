"""What ``start_flow`` does."""
