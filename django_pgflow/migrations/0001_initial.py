"""Installs the queue and the core, and tells Django of the models on them."""

import django.db.models.deletion
import django.db.models.manager
from django.db import migrations, models

import django_pgflow.models.rows
from django_pgflow import operations


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        operations.InstallQueue(),
        operations.RunRelease("pgflow", "0001_initial"),
        operations.RunRelease("django_pgflow", "0001_initial"),
        migrations.CreateModel(
            name="Dependency",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "flow_slug",
                        "dep_slug",
                        "step_slug",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("flow_slug", models.TextField(verbose_name="flow")),
                ("dep_slug", models.TextField(verbose_name="dependency")),
                ("step_slug", models.TextField(verbose_name="step")),
                ("created_at", models.DateTimeField(verbose_name="created at")),
            ],
            options={
                "verbose_name": "dependency",
                "verbose_name_plural": "dependencies",
                "db_table": '"pgflow"."deps"',
                "ordering": ["flow_slug", "dep_slug", "step_slug"],
                "abstract": False,
                "managed": False,
                "default_permissions": ("view",),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="FailedAttempt",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run_id",
                        "step_slug",
                        "task_index",
                        "attempt",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("step_slug", models.TextField(verbose_name="step")),
                ("task_index", models.IntegerField(verbose_name="index")),
                ("attempt", models.IntegerField(help_text="Counted from 1", verbose_name="attempt")),
                ("started_at", models.DateTimeField(verbose_name="started at")),
                ("failed_at", models.DateTimeField(verbose_name="failed at")),
                (
                    "error_class",
                    models.TextField(help_text="Dotted path of the exception", null=True, verbose_name="error class"),
                ),
                ("error_message", models.TextField(null=True, verbose_name="error")),
                ("traceback", models.TextField(null=True, verbose_name="traceback")),
            ],
            options={
                "verbose_name": "failed attempt",
                "verbose_name_plural": "failed attempts",
                "db_table": '"django_pgflow"."failed_attempts"',
                "ordering": ["run_id", "step_slug", "task_index", "attempt"],
                "abstract": False,
                "managed": False,
                "default_permissions": ("view",),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="StepTaskRow",
            fields=[
                ("flow_slug", models.TextField(verbose_name="flow")),
                ("step_slug", models.TextField(verbose_name="step")),
                (
                    "task_index",
                    models.IntegerField(
                        help_text="Place of the element in a map step's array, from 0", verbose_name="index"
                    ),
                ),
                ("message_id", models.BigIntegerField(null=True, verbose_name="message id")),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("queued", "queued"),
                            ("started", "started"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                            ("cancelled", "cancelled"),
                        ],
                        verbose_name="status",
                    ),
                ),
                ("attempts_count", models.IntegerField(verbose_name="attempts")),
                ("error_message", models.TextField(null=True, verbose_name="error")),
                ("output", models.JSONField(null=True, verbose_name="output")),
                ("queued_at", models.DateTimeField(verbose_name="queued at")),
                ("started_at", models.DateTimeField(null=True, verbose_name="started at")),
                ("completed_at", models.DateTimeField(null=True, verbose_name="completed at")),
                ("failed_at", models.DateTimeField(null=True, verbose_name="failed at")),
                (
                    "requeued_count",
                    models.IntegerField(
                        help_text="Times given back because a worker was lost", verbose_name="requeued"
                    ),
                ),
                ("last_requeued_at", models.DateTimeField(null=True, verbose_name="last requeued at")),
                ("permanently_stalled_at", models.DateTimeField(null=True, verbose_name="permanently stalled at")),
                ("input", models.JSONField(null=True, verbose_name="input")),
                (
                    "forgiven_count",
                    models.IntegerField(
                        help_text="Attempts that do not count: given back, or before a retry by hand",
                        verbose_name="forgiven attempts",
                    ),
                ),
                (
                    "key",
                    django_pgflow.models.rows.KeyField(
                        columns=["run_id", "step_slug", "task_index"],
                        primary_key=True,
                        serialize=False,
                        verbose_name="key",
                    ),
                ),
                ("run_started_at", models.DateTimeField(verbose_name="run started at")),
            ],
            options={
                "verbose_name": "step task",
                "verbose_name_plural": "step tasks",
                "db_table": '"django_pgflow"."step_task_rows"',
                "ordering": ["-run_started_at", "run_id", "step_slug", "task_index"],
                "abstract": False,
                "managed": False,
                "default_permissions": (),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Flow",
            fields=[
                ("flow_slug", models.TextField(primary_key=True, serialize=False, verbose_name="flow")),
                (
                    "opt_max_attempts",
                    models.IntegerField(
                        help_text="Attempts for each task, the first included", verbose_name="max attempts"
                    ),
                ),
                (
                    "opt_base_delay",
                    models.IntegerField(help_text="Seconds; doubled with each attempt", verbose_name="base delay"),
                ),
                ("opt_timeout", models.IntegerField(help_text="Seconds for one attempt", verbose_name="timeout")),
                ("created_at", models.DateTimeField(verbose_name="created at")),
            ],
            options={
                "verbose_name": "flow",
                "verbose_name_plural": "flows",
                "db_table": '"pgflow"."flows"',
                "ordering": ["flow_slug"],
                "abstract": False,
                "managed": False,
                "default_permissions": ("view",),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("run_id", models.UUIDField(primary_key=True, serialize=False, verbose_name="id")),
                ("flow_slug", models.TextField(verbose_name="flow")),
                (
                    "status",
                    models.TextField(
                        choices=[("started", "started"), ("completed", "completed"), ("failed", "failed")],
                        verbose_name="status",
                    ),
                ),
                ("input", models.JSONField(verbose_name="input")),
                ("output", models.JSONField(null=True, verbose_name="output")),
                ("remaining_steps", models.IntegerField(verbose_name="remaining steps")),
                ("started_at", models.DateTimeField(verbose_name="started at")),
                ("completed_at", models.DateTimeField(null=True, verbose_name="completed at")),
                ("failed_at", models.DateTimeField(null=True, verbose_name="failed at")),
            ],
            options={
                "verbose_name": "run",
                "verbose_name_plural": "runs",
                "db_table": '"pgflow"."runs"',
                "ordering": ["-started_at", "run_id"],
                "abstract": False,
                "managed": False,
                "default_permissions": ("view",),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Step",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "flow_slug", "step_slug", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("flow_slug", models.TextField(verbose_name="flow")),
                ("step_slug", models.TextField(verbose_name="step")),
                ("step_type", models.TextField(choices=[("single", "single"), ("map", "map")], verbose_name="type")),
                (
                    "step_index",
                    models.IntegerField(help_text="Place in the order of definition, from 0", verbose_name="index"),
                ),
                ("deps_count", models.IntegerField(verbose_name="dependencies")),
                ("opt_max_attempts", models.IntegerField(null=True, verbose_name="max attempts")),
                ("opt_base_delay", models.IntegerField(help_text="Seconds", null=True, verbose_name="base delay")),
                ("opt_timeout", models.IntegerField(help_text="Seconds", null=True, verbose_name="timeout")),
                ("opt_start_delay", models.IntegerField(help_text="Seconds", null=True, verbose_name="start delay")),
                ("required_input_pattern", models.JSONField(null=True, verbose_name="required input pattern")),
                ("forbidden_input_pattern", models.JSONField(null=True, verbose_name="forbidden input pattern")),
                ("when_unmet", models.TextField(verbose_name="when unmet")),
                ("when_exhausted", models.TextField(verbose_name="when exhausted")),
                ("created_at", models.DateTimeField(verbose_name="created at")),
            ],
            options={
                "verbose_name": "step",
                "verbose_name_plural": "steps",
                "db_table": '"pgflow"."steps"',
                "ordering": ["flow_slug", "step_index"],
                "abstract": False,
                "managed": False,
                "default_permissions": ("view",),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="StepState",
            fields=[
                ("flow_slug", models.TextField(verbose_name="flow")),
                ("step_slug", models.TextField(verbose_name="step")),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("created", "created"),
                            ("started", "started"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                        ],
                        verbose_name="status",
                    ),
                ),
                ("remaining_tasks", models.IntegerField(null=True, verbose_name="remaining tasks")),
                (
                    "initial_tasks",
                    models.IntegerField(
                        help_text="Unknown until the step's array is known", null=True, verbose_name="tasks"
                    ),
                ),
                ("remaining_deps", models.IntegerField(verbose_name="remaining dependencies")),
                ("output", models.JSONField(null=True, verbose_name="output")),
                ("error_message", models.TextField(null=True, verbose_name="error")),
                (
                    "skip_reason",
                    models.TextField(
                        choices=[
                            ("condition_unmet", "condition unmet"),
                            ("handler_failed", "handler failed"),
                            ("dependency_skipped", "dependency skipped"),
                            ("handler_skipped", "handler skipped"),
                            ("run_failed", "run failed"),
                            ("run_cancelled", "run cancelled"),
                        ],
                        null=True,
                        verbose_name="skip reason",
                    ),
                ),
                ("created_at", models.DateTimeField(verbose_name="created at")),
                ("started_at", models.DateTimeField(null=True, verbose_name="started at")),
                ("completed_at", models.DateTimeField(null=True, verbose_name="completed at")),
                ("failed_at", models.DateTimeField(null=True, verbose_name="failed at")),
                ("skipped_at", models.DateTimeField(null=True, verbose_name="skipped at")),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run_id", "step_slug", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
            ],
            options={
                "verbose_name": "step state",
                "verbose_name_plural": "step states",
                "db_table": '"pgflow"."step_states"',
                "abstract": False,
                "managed": False,
                "default_permissions": ("view",),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="StepStateRow",
            fields=[
                ("flow_slug", models.TextField(verbose_name="flow")),
                ("step_slug", models.TextField(verbose_name="step")),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("created", "created"),
                            ("started", "started"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                        ],
                        verbose_name="status",
                    ),
                ),
                ("remaining_tasks", models.IntegerField(null=True, verbose_name="remaining tasks")),
                (
                    "initial_tasks",
                    models.IntegerField(
                        help_text="Unknown until the step's array is known", null=True, verbose_name="tasks"
                    ),
                ),
                ("remaining_deps", models.IntegerField(verbose_name="remaining dependencies")),
                ("output", models.JSONField(null=True, verbose_name="output")),
                ("error_message", models.TextField(null=True, verbose_name="error")),
                (
                    "skip_reason",
                    models.TextField(
                        choices=[
                            ("condition_unmet", "condition unmet"),
                            ("handler_failed", "handler failed"),
                            ("dependency_skipped", "dependency skipped"),
                            ("handler_skipped", "handler skipped"),
                            ("run_failed", "run failed"),
                            ("run_cancelled", "run cancelled"),
                        ],
                        null=True,
                        verbose_name="skip reason",
                    ),
                ),
                ("created_at", models.DateTimeField(verbose_name="created at")),
                ("started_at", models.DateTimeField(null=True, verbose_name="started at")),
                ("completed_at", models.DateTimeField(null=True, verbose_name="completed at")),
                ("failed_at", models.DateTimeField(null=True, verbose_name="failed at")),
                ("skipped_at", models.DateTimeField(null=True, verbose_name="skipped at")),
                (
                    "key",
                    django_pgflow.models.rows.KeyField(
                        columns=["run_id", "step_slug"], primary_key=True, serialize=False, verbose_name="key"
                    ),
                ),
                ("step_index", models.IntegerField(null=True, verbose_name="index")),
                ("run_started_at", models.DateTimeField(verbose_name="run started at")),
                ("run_failed_at", models.DateTimeField(null=True, verbose_name="run failed at")),
            ],
            options={
                "verbose_name": "step state",
                "verbose_name_plural": "step states",
                "db_table": '"django_pgflow"."step_state_rows"',
                "ordering": ["-run_started_at", "run_id", "step_slug"],
                "abstract": False,
                "managed": False,
                "default_permissions": (),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="StepTask",
            fields=[
                ("flow_slug", models.TextField(verbose_name="flow")),
                ("step_slug", models.TextField(verbose_name="step")),
                (
                    "task_index",
                    models.IntegerField(
                        help_text="Place of the element in a map step's array, from 0", verbose_name="index"
                    ),
                ),
                ("message_id", models.BigIntegerField(null=True, verbose_name="message id")),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("queued", "queued"),
                            ("started", "started"),
                            ("completed", "completed"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                            ("cancelled", "cancelled"),
                        ],
                        verbose_name="status",
                    ),
                ),
                ("attempts_count", models.IntegerField(verbose_name="attempts")),
                ("error_message", models.TextField(null=True, verbose_name="error")),
                ("output", models.JSONField(null=True, verbose_name="output")),
                ("queued_at", models.DateTimeField(verbose_name="queued at")),
                ("started_at", models.DateTimeField(null=True, verbose_name="started at")),
                ("completed_at", models.DateTimeField(null=True, verbose_name="completed at")),
                ("failed_at", models.DateTimeField(null=True, verbose_name="failed at")),
                (
                    "requeued_count",
                    models.IntegerField(
                        help_text="Times given back because a worker was lost", verbose_name="requeued"
                    ),
                ),
                ("last_requeued_at", models.DateTimeField(null=True, verbose_name="last requeued at")),
                ("permanently_stalled_at", models.DateTimeField(null=True, verbose_name="permanently stalled at")),
                ("input", models.JSONField(null=True, verbose_name="input")),
                (
                    "forgiven_count",
                    models.IntegerField(
                        help_text="Attempts that do not count: given back, or before a retry by hand",
                        verbose_name="forgiven attempts",
                    ),
                ),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run_id",
                        "step_slug",
                        "task_index",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "extended_until",
                    models.DateTimeField(
                        help_text="The time that its handler asked for", null=True, verbose_name="extended until"
                    ),
                ),
            ],
            options={
                "verbose_name": "step task",
                "verbose_name_plural": "step tasks",
                "db_table": '"pgflow"."step_tasks"',
                "permissions": [("retry_steptask", "Can retry failed tasks")],
                "abstract": False,
                "managed": False,
                "default_permissions": ("view",),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="TaskProgress",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "run_id",
                        "step_slug",
                        "task_index",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("step_slug", models.TextField(verbose_name="step")),
                ("task_index", models.IntegerField(verbose_name="index")),
                ("attempt", models.IntegerField(help_text="Counted from 1", verbose_name="attempt")),
                ("done", models.FloatField(verbose_name="done")),
                ("total", models.FloatField(null=True, verbose_name="total")),
                ("text", models.TextField(verbose_name="text")),
                ("updated_at", models.DateTimeField(verbose_name="updated at")),
            ],
            options={
                "verbose_name": "progress of a task",
                "verbose_name_plural": "progress of tasks",
                "db_table": '"django_pgflow"."task_progress"',
                "ordering": ["run_id", "step_slug", "task_index"],
                "abstract": False,
                "managed": False,
                "default_permissions": ("view",),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Worker",
            fields=[
                ("worker_id", models.UUIDField(primary_key=True, serialize=False, verbose_name="id")),
                (
                    "queue_name",
                    models.TextField(help_text="Flows that it serves, separated by commas", verbose_name="queues"),
                ),
                ("function_name", models.TextField(help_text="Where it runs: host and process", verbose_name="name")),
                ("started_at", models.DateTimeField(verbose_name="started at")),
                (
                    "deprecated_at",
                    models.DateTimeField(
                        help_text="Asked to take no more work", null=True, verbose_name="deprecated at"
                    ),
                ),
                ("stopped_at", models.DateTimeField(null=True, verbose_name="stopped at")),
                ("last_heartbeat_at", models.DateTimeField(verbose_name="last heartbeat at")),
            ],
            options={
                "verbose_name": "worker",
                "verbose_name_plural": "workers",
                "db_table": '"pgflow"."workers"',
                "ordering": ["-last_heartbeat_at"],
                "abstract": False,
                "managed": False,
                "default_permissions": ("view",),
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="FailedTask",
            fields=[],
            options={
                "verbose_name": "failed task",
                "verbose_name_plural": "failed tasks",
                "ordering": ["-failed_at", "run_id", "step_slug", "task_index"],
                "abstract": False,
                "managed": False,
                "proxy": True,
                "default_permissions": (),
                "base_manager_name": "rows",
            },
            bases=("pgflow.steptaskrow",),
            managers=[
                ("objects", django.db.models.manager.Manager()),
                ("rows", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="RunDetails",
            fields=[
                (
                    "run",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="details",
                        serialize=False,
                        to="pgflow.run",
                        verbose_name="run",
                    ),
                ),
                (
                    "meta",
                    models.JSONField(help_text="Given by the application at the start", null=True, verbose_name="meta"),
                ),
                ("parent_step_slug", models.TextField(null=True, verbose_name="step of the parent")),
                ("parent_task_index", models.IntegerField(null=True, verbose_name="index of the parent")),
                ("cancelled_at", models.DateTimeField(null=True, verbose_name="cancelled at")),
                ("cancel_reason", models.TextField(null=True, verbose_name="reason of the cancellation")),
            ],
            options={
                "verbose_name": "details of a run",
                "verbose_name_plural": "details of runs",
                "db_table": '"django_pgflow"."run_details"',
                "abstract": False,
                "managed": False,
                "default_permissions": ("view",),
                "base_manager_name": "objects",
            },
        ),
    ]
