"""Settings of the processes under chaos: the defaults, and connections that say to which process they belong."""

from __future__ import annotations

import os

import environ

SECRET_KEY = "chaos"
USE_TZ = True
TIME_ZONE = "UTC"  # as Postgres writes its log
DATABASES = {"default": environ.Env.db_url_config(os.environ["DATABASE_URL"])}
DATABASES["default"] |= {
    "CONN_MAX_AGE": 60,
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {"application_name": f"chaos {os.getpid()}"},
}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django_pgflow"]
PGFLOW = {"FLOW_MODULES": ["tests.chaos.flows"]}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "django_pgflow": {"level": "INFO"},
        "django_pgflow.worker.task": {"level": "WARNING"},  # two lines a task would be a hundred thousand
    },
}
