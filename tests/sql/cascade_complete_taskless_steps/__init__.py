"""What ``cascade_complete_taskless_steps`` does."""
