"""What ``delete_flow_and_data`` does."""
