"""What ``_get_flow_shape`` does."""
