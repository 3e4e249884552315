"""What ``_cascade_force_skip_steps`` does."""
