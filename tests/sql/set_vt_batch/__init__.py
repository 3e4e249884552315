"""What ``set_vt_batch`` does."""
