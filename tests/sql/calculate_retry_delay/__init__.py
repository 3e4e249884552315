"""What ``calculate_retry_delay`` does."""
