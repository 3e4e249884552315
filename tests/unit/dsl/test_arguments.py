"""What a handler is called with."""

from __future__ import annotations

import logging
import uuid
from typing import Any

import pytest

from django_pgflow import Context, Flow
from django_pgflow.dsl.context import Message, WorkerInfo
from tests.testapp import flows

CONTEXT = Context(
    run_id=uuid.UUID(int=7),
    flow_slug="f",
    step_slug="s",
    task_index=2,
    attempt=1,
    max_attempts=3,
    timeout=60,
    worker=WorkerInfo(id=uuid.UUID(int=8), name="host:1"),
    message=Message(queue="f", msg_id=9),
)


def call(step: Any, task_input: Any, **kwargs: Any) -> Any:
    args, keywords = step.arguments(task_input, context=CONTEXT, **kwargs)
    return step(*args, **keywords)


def test_flow_input_and_dependencies() -> None:
    assert call(flows.hello, {"run": {"name": "Ada"}}) == "Hello, Ada!"
    assert call(flows.bottom, {"run": {}, "left": 1, "right": 2}) == {"left": 1, "right": 2}


def test_falsy_outputs_are_passed_on() -> None:
    assert call(flows.bottom, {"run": {}, "left": 0, "right": None}) == {"left": 0, "right": None}


def test_flow_input_is_filled_in_where_the_task_input_has_no_run() -> None:
    assert call(flows.hello, {}, flow_input={"name": "Bob"}) == "Hello, Bob!"


def test_input_is_the_task_input_as_it_came_and_deps_are_the_outputs() -> None:
    flow = Flow("f")

    @flow.step
    def a() -> None: ...

    @flow.step(depends_on=[a])
    def b(input: Any, deps: Any, ctx: Context) -> Any:
        return input, deps, ctx.task_index

    assert call(b, {"run": 5, "a": [1]}) == ({"run": 5, "a": [1]}, {"a": [1]}, 2)


def test_a_default_stands_in_for_a_skipped_dependency() -> None:
    flow = Flow("f")

    @flow.step
    def a() -> None: ...

    @flow.step
    def b() -> None: ...

    @flow.step
    def c(a: Any, /, b: Any = "default") -> Any:
        return a, b

    @flow.step
    def d(a: Any = "A", /, *, b: Any = "B") -> Any:
        return a, b

    assert call(c, {"run": {}, "a": 1}) == (1, "default")
    assert call(c, {"run": {}, "a": 1, "b": None}) == (1, None)
    assert call(d, {"run": {}}) == ("A", "B")
    with pytest.raises(TypeError, match="needs the output of 'a', which has none in this run: it was skipped"):
        call(c, {"run": {}})


def test_the_element_of_a_map_is_the_first_positional_parameter() -> None:
    assert call(flows.square, 3) == {"index": 2, "square": 9}
    assert call(flows.double, 3, flow_input=[1, 2]) == {"double": 6, "of": 2}


@pytest.mark.parametrize("element", [None, 0, "", [], {"run": 1}, [1, [2]]])
def test_an_element_is_passed_as_it_is(element: Any) -> None:
    flow = Flow("f")

    @flow.map
    def by_name(ctx: Context, *, item: Any) -> Any:
        return item

    @flow.map
    def by_position(input: Any, /) -> Any:
        return input

    assert call(by_name, element) == element
    assert call(by_position, element) == element


def test_context_knows_its_key_its_attempts_and_its_time() -> None:
    assert CONTEXT.idempotency_key == "00000000-0000-0000-0000-000000000007:s:2"
    assert not CONTEXT.is_last_attempt
    assert CONTEXT.time_left() > 0


def test_context_log_adds_the_task(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        CONTEXT.log.info("Sent %d%%", 5, extra={"mine": 1})
    (record,) = caplog.records
    assert record.getMessage() == "Sent 5% run=00000000-0000-0000-0000-000000000007 step=s index=2 attempt=1"
    assert record.name == "django_pgflow.handlers.f"
    assert (record.mine, record.step) == (1, "s")  # type: ignore[attr-defined]
