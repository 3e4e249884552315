"""What ``prune_data_older_than`` does."""
