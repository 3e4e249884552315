"""Reads web pages and judges their mood."""

from django.apps import AppConfig


class WebsitesConfig(AppConfig):
    """App ``websites``."""

    name = "example_project.websites"
    label = "websites"
