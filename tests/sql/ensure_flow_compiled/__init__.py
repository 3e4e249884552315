"""What ``ensure_flow_compiled`` does."""
