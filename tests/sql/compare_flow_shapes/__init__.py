"""What ``_compare_flow_shapes`` does."""
