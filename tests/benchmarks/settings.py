"""Settings of the benchmarks: the flows of this folder, and nothing that is not needed."""

from __future__ import annotations

import os

import environ

SECRET_KEY = "benchmarks"
USE_TZ = True
DATABASES = {"default": environ.Env.db_url_config(os.environ["DATABASE_URL"])}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django_pgflow"]
PGFLOW = {"FLOW_MODULES": ["tests.benchmarks.flows"], "WORKER": {}}
if os.environ.get("CONCURRENCY"):
    PGFLOW["WORKER"] = {"concurrency": int(os.environ["CONCURRENCY"])}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django_pgflow": {"handlers": ["console"], "level": "WARNING"}},
}
