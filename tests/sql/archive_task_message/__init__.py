"""What ``_archive_task_message`` does."""
