"""What ``start_flows`` does."""
