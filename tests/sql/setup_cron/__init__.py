"""What ``setup_ensure_workers_cron`` and ``setup_requeue_stalled_tasks_cron`` do."""
