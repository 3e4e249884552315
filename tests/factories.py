"""What tests need many of: members of staff, and runs of the flows in ``testapp``."""

from __future__ import annotations

import json
from typing import Any

import factory
from django.contrib.auth.models import Permission, User

from django_pgflow import client, models


class StaffFactory(factory.django.DjangoModelFactory[User]):
    """A member of staff; ``StaffFactory(permissions=["view_run"])`` may do what the app's permissions say."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"staff{n}")
    password = factory.django.Password("secret")
    is_staff = True

    @factory.post_generation
    def permissions(self, create: bool, extracted: Any, **kwargs: Any) -> None:
        """Grant permissions of the app ``pgflow`` by codename."""
        if create and extracted:
            found = Permission.objects.filter(content_type__app_label="pgflow", codename__in=extracted)
            self.user_permissions.set(found)  # type: ignore[attr-defined]


class RunFactory(factory.Factory[models.Run]):
    """A run, started as code starts it: runs are written by the SQL core alone."""

    class Meta:
        model = models.Run

    flow_slug = "greet"
    input = factory.LazyFunction(dict)

    @classmethod
    def _create(cls, model_class: type[models.Run], *args: Any, **kwargs: Any) -> models.Run:
        (record,) = client.start(kwargs["flow_slug"], [json.dumps(kwargs["input"])])
        return model_class.from_record(record, "default")
