"""Settings of the peers that are Django apps; each names its own by ``BENCH_PEER``."""

from __future__ import annotations

import os

SECRET_KEY = "benchmarks"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["BENCH_DATABASE"],
        "HOST": os.environ["BENCH_SOCKET"],
        "USER": "postgres",
        "CONN_MAX_AGE": None,
    }
}
INSTALLED_APPS = {
    "django_tasks": ["django_tasks", "django_tasks_db"],
    "django_q2": ["django_q"],
}[os.environ["BENCH_PEER"]]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

# https://django-q2.readthedocs.io/en/master/configure.html: workers are as many as cores by default; for small tasks
# a larger bulk, and a queue limit that holds it; the poll interval counts while nothing is queued only.
Q_CLUSTER = {
    "name": "bench",
    "orm": "default",
    "bulk": 50,
    "queue_limit": 100,
    "poll": 0.01,
    "timeout": 60,
    "retry": 120,
    "save_limit": 0,
    "scheduler": False,
    "log_level": "WARNING",
}
# Its map keeps what it has of the results in the cache.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}}
