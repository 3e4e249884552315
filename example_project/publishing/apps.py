"""Publishes what the other apps found, once somebody agrees."""

from django.apps import AppConfig


class PublishingConfig(AppConfig):
    """App ``publishing``."""

    name = "example_project.publishing"
    label = "publishing"
