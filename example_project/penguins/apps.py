"""Imports a table of penguins."""

from django.apps import AppConfig


class PenguinsConfig(AppConfig):
    """App ``penguins``."""

    name = "example_project.penguins"
    label = "penguins"
