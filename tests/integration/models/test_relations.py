"""The ORM follows the core's relations, through composite keys too."""

from __future__ import annotations

import pytest
from django.db import connection

from django_pgflow import models
from tests.fixtures import driving

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> models.Run:
    """A completed run: ``load``, a map step ``lines`` over it, and ``total``."""
    driving.define("orders", "load", "lines[] < load", "total < lines")
    (run,) = driving.start("orders", {"order": 5})
    driving.work("orders", lambda task: [10, 20] if task.step_slug == "load" else task.input, name="shop:7")
    return models.Run.objects.get(pk=run.pk)


def test_a_run_has_step_states_and_tasks(run):
    assert sorted(run.step_states.values_list("step_slug", "status")) == [
        ("lines", "completed"),
        ("load", "completed"),
        ("total", "completed"),
    ]
    assert run.step_tasks.count() == 4
    assert run.input == {"order": 5}
    assert run.flow.flow_slug == "orders"


def test_a_step_state_has_tasks_and_a_step(run):
    state = models.StepState.objects.get(pk=(run.run_id, "lines"))
    assert [task.input for task in state.tasks.order_by("task_index")] == [10, 20]
    assert state.step.step_type == "map"
    assert state.run == run
    assert (state.completed_tasks, state.initial_tasks) == (2, 2)


def test_a_task_leads_to_its_state_step_flow_run_and_worker(run):
    task = models.StepTask.objects.select_related("step_state", "step", "flow", "run", "last_worker").get(
        pk=(run.run_id, "lines", 1)
    )
    assert task.step_state.step_slug == "lines"
    assert task.step.step_index == 1
    assert task.flow.flow_slug == "orders"
    assert task.run == run
    assert task.last_worker.function_name == "shop:7"
    assert task.attempts_count == 1
    assert task.duration is not None


def test_a_flow_has_steps_runs_and_dependencies(run):
    flow = models.Flow.objects.get(pk="orders")
    assert [step.step_slug for step in flow.steps.order_by("step_index")] == ["load", "lines", "total"]
    assert list(flow.runs.all()) == [run]
    assert sorted(map(str, flow.dependencies.all())) == ["orders: lines -> total", "orders: load -> lines"]


def test_a_step_knows_its_parents_and_children(run):
    lines = models.Step.objects.get(pk=("orders", "lines"))
    assert [edge.dep.step_slug for edge in lines.dependencies.all()] == ["load"]
    assert [edge.step.step_slug for edge in lines.dependents.all()] == ["total"]


def test_a_worker_has_tasks(run):
    assert models.Worker.objects.get(function_name="shop:7").step_tasks.count() == 4


def test_relations_can_be_filtered_across_schema_qualified_tables(run):
    tasks = models.StepTask.objects.filter(
        step_state__status="completed", step__step_type="map", flow__steps__step_slug="total", run__flow_slug="orders"
    )
    assert tasks.count() == 2
    assert models.Run.objects.exclude(step_tasks__status="failed").filter(pk=run.pk).exists()
    assert models.Flow.objects.filter(runs__step_states__step_slug="load").distinct().count() == 1


def test_relations_can_be_prefetched(run, django_assert_num_queries):
    with django_assert_num_queries(3):
        (found,) = models.Run.objects.prefetch_related("step_states__tasks")
        assert sum(len(state.tasks.all()) for state in found.step_states.all()) == 4


def test_every_column_of_the_tables_is_a_field():
    for model in (
        models.Flow,
        models.Step,
        models.Dependency,
        models.Run,
        models.StepState,
        models.StepTask,
        models.Worker,
        models.StepStateRow,
        models.StepTaskRow,
    ):
        schema, table = model._meta.db_table.strip('"').split('"."')
        with connection.cursor() as cursor:
            cursor.execute(
                "select column_name, is_nullable from information_schema.columns"
                " where table_schema = %s and table_name = %s",
                [schema, table],
            )
            columns = dict(cursor.fetchall())
        fields = {field.column: field for field in model._meta.concrete_fields if field.column}
        assert set(fields) == set(columns), model
        if schema == "pgflow":
            assert {name for name, field in fields.items() if field.null} == {
                name for name, nullable in columns.items() if nullable == "YES"
            }, model
