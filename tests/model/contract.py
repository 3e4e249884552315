"""The contract of the core as plain Python: what becomes of runs, steps and tasks when verbs are called.

Written from the specification, to be read in one sitting, and knowing nothing of SQL: no counters (what counts down is
derived from what has ended), no locks, no clock. A message is no object of its own: a task's message is in the queue
while the task is live, and in the archive after that; whether it is visible is all there is of time.

Reports that come in one call take effect together: all tasks first, then the steps that completed, those that are
skipped, those that fail, and only then do runs move on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.model.values import ABSENT, Flow, Report, State, Step, Task, TaskKey, contains, json_type, or_null

MAX_REQUEUES = 3
STALLED = "Stalled"


class Refused(Exception):
    """The core raises an error that begins with this text, and nothing has changed."""


@dataclass(kw_only=True)
class Run:
    """An execution of a flow."""

    run_id: UUID
    flow: Flow
    input: Any
    status: str = "started"
    output: Any = ABSENT
    cancelled: bool = False
    states: dict[str, State]
    events: list[str] = field(default_factory=lambda: ["run:started"])

    # What follows from the states

    @property
    def remaining_steps(self) -> int:
        """Count the steps that the run waits for."""
        return sum(not state.is_done for state in self.states.values())

    def remaining_deps(self, step: Step) -> int:
        """Count the dependencies that a step waits for."""
        return sum(not self.states[dep].is_done for dep in step.deps)

    def elements(self, step: Step) -> list[Any] | None:
        """Return what the tasks of a step are for; None while a map cannot know."""
        if not step.is_map:
            return [ABSENT]
        if not step.deps:
            return list(self.input)
        parent = self.states[step.deps[0]]
        if parent.status == "completed":
            return list(parent.output)
        return [] if parent.is_done else None

    def dependency_outputs(self, step: Step) -> dict[str, Any]:
        """Return the outputs of the completed dependencies by slug."""
        parents = [self.states[dep] for dep in step.deps]
        return {parent.step.slug: or_null(parent.output) for parent in parents if parent.status == "completed"}

    def task_input(self, task: Task) -> Any:
        """Return what the handler of a task gets."""
        step = self.states[task.key[1]].step
        return task.element if step.is_map else {"run": self.input, **self.dependency_outputs(step)}

    def failed_by_condition(self) -> bool:
        """Tell whether a step failed without a task, which nobody can try again."""
        failed = [state for state in self.states.values() if state.status == "failed"]
        return any(all(task.status != "failed" for task in state.tasks) for state in failed)

    def _ready(self) -> list[State]:
        """Return the states that wait for nothing, in the order of the flow."""
        return [s for s in self.states.values() if s.status == "created" and self.remaining_deps(s.step) == 0]

    def _unmet(self, when_unmet: str) -> list[State]:
        """Return the ready states whose condition is not met and that answer to that in one way."""
        unmet = []
        for state in self._ready():
            step = state.step
            tested = self.dependency_outputs(step) if step.deps else self.input
            missing = step.required is not None and not contains(tested, step.required)
            present = step.forbidden is not None and contains(tested, step.forbidden)
            if (missing or present) and step.when_unmet == when_unmet:
                unmet.append(state)
        return unmet

    # Moving on

    def advance(self) -> None:
        """Move on as far as it goes without a worker: conditions, steps without tasks, steps with tasks, the end."""
        while self.status == "started" and (self._decide_conditions() or self._complete_taskless()):
            pass
        if self.status != "started":
            return
        for state in self._ready():
            for index, element in enumerate(self.elements(state.step) or []):
                key = (self.run_id, state.step.slug, index)
                state.tasks.append(Task(key=key, element=element, visible=not state.step.start_delay))
            self.enter(state, "started")
        if self.remaining_steps == 0:
            leaves = [s for s in self.states.values() if not self.flow.children(s.step.slug)]
            output = {leaf.step.slug: or_null(leaf.output) for leaf in leaves if leaf.status == "completed"}
            self.status, self.output = "completed", output or ABSENT
            self.events.append("run:completed")

    def _decide_conditions(self) -> bool:
        """Fail by the first step that wants that, else skip, then cascade; return whether anything changed."""
        if failing := self._unmet("fail"):
            self.enter(failing[0], "failed", error="Condition not met")
            self.end("run_failed")
            return True
        skipped = self._unmet("skip")
        for state in skipped:
            self.skip(state, "condition_unmet")
        cascading = self._unmet("skip-cascade")
        for state in cascading:
            self.skip(state, "condition_unmet", cascade=True)
        return bool(skipped or cascading)

    def _complete_taskless(self) -> bool:
        """Complete the ready steps that have nothing to do; return whether there were any."""
        taskless = [state for state in self._ready() if self.elements(state.step) == []]
        for state in taskless:
            state.output = []
            self.enter(state, "completed")
        return bool(taskless)

    def complete(self, state: State) -> None:
        """Complete a step whose tasks are all completed: of a map with the array of their outputs."""
        outputs = [task.output for task in state.tasks]
        state.output = [or_null(output) for output in outputs] if state.step.is_map else outputs[0]
        self.enter(state, "completed")

    def skip(self, state: State, reason: str, *, error: str | None = None, cascade: bool = False) -> None:
        """Skip a step, and with ``cascade`` all that depends on it, whatever their other parents do; not what ended."""
        if state.status in {"created", "started"}:
            self.enter(state, "skipped", reason=reason, error=error)
            state.close("skipped")
        for child in self.flow.children(state.step.slug) if cascade else []:
            self.skip(self.states[child.slug], "dependency_skipped", cascade=True)

    def end(self, reason: str) -> None:
        """Fail the run: nothing of it stays started, queued or in the queue; what was not begun stays created."""
        self.status = "failed"
        for state in self.states.values():
            if state.status == "started":
                state.status, state.reason = "skipped", reason
            state.close("cancelled")
        self.events.append("run:failed")

    def resume(self) -> None:
        """Take the run up again after a bad end: what did not complete is queued with fresh attempts."""
        self.status, self.cancelled = "started", False
        for state in self.states.values():
            if state.status == "failed" or state.is_interrupted:
                state.status, state.reason, state.error = "started", None, None
                for task in state.tasks:
                    if task.status != "completed":
                        task.status, task.output, task.worker, task.requeued = "queued", ABSENT, None, 0
                        task.forgiven, task.visible, task.message_id = task.attempts, True, None
        self.advance()

    def enter(self, state: State, status: str, *, reason: str | None = None, error: str | None = None) -> None:
        """Let a step enter a status, and tell of it."""
        state.status, state.reason, state.error = status, reason, error
        self.events.append(f"step:{state.step.slug}:{status}")


class Model:
    """All runs, and the verbs of the core."""

    def __init__(self) -> None:
        self.runs: dict[UUID, Run] = {}
        self.failed_attempts: dict[tuple[UUID, str, int, int], str | None] = {}

    def tasks(self, status: str | None = None) -> list[Task]:
        """Return all tasks, or those in a status."""
        tasks = [task for run in self.runs.values() for state in run.states.values() for task in state.tasks]
        return [task for task in tasks if status in {None, task.status}]

    def task(self, key: TaskKey) -> Task | None:
        """Return a task; None if there is none."""
        return next((task for task in self.tasks() if task.key == key), None)

    def flow(self, task: Task) -> Flow:
        """Return the flow of a task."""
        return self.runs[task.key[0]].flow

    def state(self, task: Task) -> State:
        """Return the state of a task's step."""
        return self.runs[task.key[0]].states[task.key[1]]

    def option(self, task: Task, name: str) -> Any:
        """Return an option that is in force for a task."""
        return self.flow(task).option(self.state(task).step, name)

    def start(self, flow: Flow, run_id: UUID, value: Any) -> None:
        """Start a run."""
        if any(step.is_map and not step.deps for step in flow.steps) and not isinstance(value, list):
            got = "is NULL" if value is ABSENT else f"is not an array (got {json_type(value)})"
            raise Refused(f"Flow {flow.slug} has root map steps but input {got}")
        if value is ABSENT:
            raise Refused('null value in column "input" of relation "runs" violates not-null constraint')
        states = {step.slug: State(step=step) for step in flow.steps}
        self.runs[run_id] = Run(run_id=run_id, flow=flow, input=value, states=states)
        self.runs[run_id].advance()

    def claim(self, flow_slug: str, message_ids: Iterable[int | None], worker: UUID) -> list[Task]:
        """Start the queued tasks behind messages; all else is passed over."""
        ids = set(message_ids)
        claimed = [t for t in self.tasks("queued") if self.flow(t).slug == flow_slug and t.message_id in ids]
        for task in claimed:
            task.status, task.worker, task.visible, task.age = "started", worker, False, 0
            task.attempts += 1
        return claimed

    def report(self, reports: Sequence[Report], worker: UUID | None = None) -> list[bool]:
        """Take reports; return which of them counted.

        A report counts if its task is started and, where worker or attempt are told, in the hands of that worker at
        that attempt. Of several for one task the first that can counts; a step ends by the first that ends it.
        """
        counted = []
        ends: dict[tuple[UUID, str], tuple[str, str | None]] = {}
        for report in reports:
            task = self.task(report.key)
            counts = (
                task is not None
                and task.status == "started"
                and worker in {None, task.worker}
                and report.attempt in {None, task.attempts}
            )
            counted.append(counts)
            end, error = self._apply(report, task) if task and counts else (None, None)
            if end:
                ends.setdefault(report.key[:2], (end, error))
        for kind in ("complete", "skip", "fail"):
            for (run_id, slug), (end, error) in ends.items():
                run, state = self.runs[run_id], self.runs[run_id].states[slug]
                reason = "handler_skipped" if end == "skip" else "handler_failed"
                mode = {"exhaust": state.step.when_exhausted}.get(end, end)
                if kind == end == "complete":
                    run.complete(state)
                elif kind == "skip" and mode in {"skip", "skip-cascade"}:
                    run.skip(state, reason, error=error, cascade=state.step.when_exhausted == "skip-cascade")
                elif kind == mode == "fail":
                    run.enter(state, "failed", error=error)
        runs = [self.runs[run_id] for run_id in dict.fromkeys(run_id for run_id, _ in ends)]
        for run in runs:
            if any(state.status == "failed" for state in run.states.values()):
                run.end("run_failed")
            run.advance()
        return counted

    def _apply(self, report: Report, task: Task) -> tuple[str | None, str | None]:
        """Let a report change its task; return how its step ends, if it does, and with what error."""
        run, state = self.runs[task.key[0]], self.state(task)
        if report.outcome == "completed":
            waiting = [s.slug for s in run.flow.children(state.step.slug) if s.is_map and run.elements(s) is None]
            task.status, task.output = "completed", report.output
            if waiting and not state.step.is_map and not isinstance(report.output, list):
                produced = f"produced {json_type(report.output)}"
                self._fail(task, f"[TYPE_VIOLATION] {produced.capitalize()} instead of array")
                expects = f"Map step {waiting[0]} expects array input but dependency {state.step.slug} {produced}"
                return "fail", f"[TYPE_VIOLATION] {expects}"
            return ("complete" if all(t.status == "completed" for t in state.tasks) else None), None
        if report.outcome == "released":
            task.status, task.worker, task.visible = "queued", None, not report.delay
            task.forgiven += 1
            return None, None
        if report.outcome == "skipped":
            task.status, task.error = "skipped", report.error
            return "skip", report.error
        self._fail(task, report.error)
        if report.outcome == "failed" and task.attempts - task.forgiven < self.option(task, "max_attempts"):
            delay = self.option(task, "base_delay") if report.delay is None else report.delay
            task.status, task.visible = "queued", not delay
            return None, None
        return "exhaust", report.error

    def _fail(self, task: Task, error: str | None) -> None:
        task.status, task.error = "failed", error
        self.failed_attempts[(*task.key, task.attempts)] = error

    def requeue_stalled(self) -> int:
        """Give back what was started longer ago than its timeout and 30 seconds; after three times it fails."""
        stalled = [task for task in self.tasks("started") if task.age > self.option(task, "timeout") + 30]
        self.report([_lost(task) for task in stalled if task.requeued >= MAX_REQUEUES])
        requeued = [task for task in stalled if task.status == "started"]
        for task in requeued:
            task.status, task.worker, task.visible = "queued", None, True
            task.requeued += 1
        return len(requeued)

    def cancel(self, run_ids: Sequence[UUID]) -> list[str]:
        """Cancel runs: they fail without an error."""

        def cancel(run: Run) -> str:
            if run.status != "started":
                return "ended"
            run.cancelled = True
            run.end("run_cancelled")
            return "cancelled"

        return self._each_run(run_ids, cancel)

    def resume(self, run_ids: Sequence[UUID]) -> list[str]:
        """Take failed runs up again, cancelled ones too."""

        def resume(run: Run) -> str:
            if run.status != "failed":
                return "not_failed"
            if run.failed_by_condition():
                return "condition"
            run.resume()
            return "resumed"

        return self._each_run(run_ids, resume)

    def _each_run(self, run_ids: Sequence[UUID], verb: Callable[[Run], str]) -> list[str]:
        """Do something with each run once."""
        outcomes = {id_: verb(self.runs[id_]) if id_ in self.runs else "not_found" for id_ in dict.fromkeys(run_ids)}
        return [outcomes[run_id] for run_id in run_ids]

    def retry(self, keys: Sequence[TaskKey]) -> list[str]:
        """Retry failed tasks: their runs go on."""

        def judge(key: TaskKey) -> str:
            if (task := self.task(key)) is None:
                return "not_found"
            if task.status != "failed":
                return "not_failed"
            if self.runs[key[0]].status != "failed" or self.state(task).status != "failed":
                return "run_not_failed"
            return "condition" if self.runs[key[0]].failed_by_condition() else "queued"

        outcomes = [judge(key) for key in keys]
        self.resume([key[0] for key, outcome in zip(keys, outcomes, strict=True) if outcome == "queued"])
        return outcomes


def _lost(task: Task) -> Report:
    run_id, slug, index = task.key
    return Report(run_id=run_id, step_slug=slug, task_index=index, outcome="exhausted", error=STALLED)
