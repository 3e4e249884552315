"""Flows as the database knows them: flows, steps and the edges between steps."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_pgflow.models import base


class Flow(base.PgflowModel):
    """A flow that has been written to the database. The Python side of it is ``django_pgflow.Flow``."""

    flow_slug = models.TextField(_("flow"), primary_key=True)
    opt_max_attempts = models.IntegerField(_("max attempts"), help_text=_("Attempts for each task, the first included"))
    opt_base_delay = models.IntegerField(_("base delay"), help_text=_("Seconds; doubled with each attempt"))
    opt_timeout = models.IntegerField(_("timeout"), help_text=_("Seconds for one attempt"))
    created_at = models.DateTimeField(_("created at"))

    objects = base.ReadOnlyQuerySet["Flow"].as_manager()

    class Meta(base.PgflowModel.Meta):
        db_table = base.table("flows")
        verbose_name = _("flow")
        verbose_name_plural = _("flows")
        ordering = ["flow_slug"]

    def __str__(self) -> str:
        return self.flow_slug


class Step(base.PgflowModel):
    """A node of a flow. An option that is None is inherited from the flow.

    Relations: ``flow``; ``dependencies`` (edges to its parents), ``dependents`` (edges to its children), ``states``.
    """

    pk = models.CompositePrimaryKey("flow_slug", "step_slug")
    flow_slug = models.TextField(_("flow"))
    step_slug = models.TextField(_("step"))
    step_type = models.TextField(_("type"), choices=[("single", _("single")), ("map", _("map"))])
    step_index = models.IntegerField(_("index"), help_text=_("Place in the order of definition, from 0"))
    deps_count = models.IntegerField(_("dependencies"))
    opt_max_attempts = models.IntegerField(_("max attempts"), null=True)
    opt_base_delay = models.IntegerField(_("base delay"), null=True, help_text=_("Seconds"))
    opt_timeout = models.IntegerField(_("timeout"), null=True, help_text=_("Seconds"))
    opt_start_delay = models.IntegerField(_("start delay"), null=True, help_text=_("Seconds"))
    required_input_pattern = models.JSONField(_("required input pattern"), null=True)
    forbidden_input_pattern = models.JSONField(_("forbidden input pattern"), null=True)
    when_unmet = models.TextField(_("when unmet"))
    when_exhausted = models.TextField(_("when exhausted"))
    created_at = models.DateTimeField(_("created at"))

    flow = models.ForeignObject(
        Flow,
        on_delete=models.DO_NOTHING,
        from_fields=["flow_slug"],
        to_fields=["flow_slug"],
        related_name="steps",
        verbose_name=_("flow"),
    )

    objects = base.ReadOnlyQuerySet["Step"].as_manager()

    class Meta(base.PgflowModel.Meta):
        db_table = base.table("steps")
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering = ["flow_slug", "step_index"]

    def __str__(self) -> str:
        return f"{self.flow_slug}/{self.step_slug}"


class Dependency(base.PgflowModel):
    """An edge: the step ``step_slug`` takes the output of, or waits for, the step ``dep_slug``."""

    pk = models.CompositePrimaryKey("flow_slug", "dep_slug", "step_slug")
    flow_slug = models.TextField(_("flow"))
    dep_slug = models.TextField(_("dependency"))
    step_slug = models.TextField(_("step"))
    created_at = models.DateTimeField(_("created at"))

    flow = models.ForeignObject(
        Flow,
        on_delete=models.DO_NOTHING,
        from_fields=["flow_slug"],
        to_fields=["flow_slug"],
        related_name="dependencies",
        verbose_name=_("flow"),
    )
    step = models.ForeignObject(
        Step,
        on_delete=models.DO_NOTHING,
        from_fields=["flow_slug", "step_slug"],
        to_fields=["flow_slug", "step_slug"],
        related_name="dependencies",
        verbose_name=_("step"),
    )
    dep = models.ForeignObject(
        Step,
        on_delete=models.DO_NOTHING,
        from_fields=["flow_slug", "dep_slug"],
        to_fields=["flow_slug", "step_slug"],
        related_name="dependents",
        verbose_name=_("dependency"),
    )

    objects = base.ReadOnlyQuerySet["Dependency"].as_manager()

    class Meta(base.PgflowModel.Meta):
        db_table = base.table("deps")
        verbose_name = _("dependency")
        verbose_name_plural = _("dependencies")
        ordering = ["flow_slug", "dep_slug", "step_slug"]

    def __str__(self) -> str:
        return f"{self.flow_slug}: {self.dep_slug} -> {self.step_slug}"
