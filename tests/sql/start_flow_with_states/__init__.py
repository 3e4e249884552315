"""What ``start_flow_with_states`` does."""
