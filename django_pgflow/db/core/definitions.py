"""What of writing flows to a database differs between cores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from django_pgflow import exceptions
from django_pgflow.db.capabilities import Capabilities
from django_pgflow.db.query import Query

OUR_CORE = "the core that django-pgflow installs into a database without pgflow"


class Step(Protocol):
    """A step as ``compiler.shape`` has it."""

    @property
    def slug(self) -> str: ...
    @property
    def step_type(self) -> str: ...
    @property
    def dependencies(self) -> tuple[str, ...]: ...
    @property
    def options(self) -> Any: ...
    @property
    def required_input_pattern(self) -> str | None: ...
    @property
    def forbidden_input_pattern(self) -> str | None: ...
    @property
    def when_unmet(self) -> str: ...
    @property
    def when_exhausted(self) -> str: ...
    @property
    def concurrency_limit(self) -> int | None: ...
    @property
    def concurrency_key(self) -> str | None: ...


class Definitions:
    """Our own core: steps have conditions, and limits for all workers."""

    LIMITS = """
                  (
                    select l.max_count
                    from django_pgflow.concurrency_limits l
                    where l.flow_slug = s.flow_slug and l.step_slug = s.step_slug
                  ) as concurrency_limit,
                  (
                    select nullif(array_to_string(l.key_path, '.'), '')
                    from django_pgflow.concurrency_limits l
                    where l.flow_slug = s.flow_slug and l.step_slug = s.step_slug
                  ) as concurrency_key"""
    CONDITIONS = "s.required_input_pattern::text, s.forbidden_input_pattern::text, s.when_unmet, s.when_exhausted"
    PARAMETERS = (
        ", required_input_pattern => %(required_input_pattern)s::jsonb"
        ", forbidden_input_pattern => %(forbidden_input_pattern)s::jsonb"
        ", when_unmet => %(when_unmet)s, when_exhausted => %(when_exhausted)s"
    )

    def __init__(self, name: str) -> None:
        self.name = name

    def steps(self, flow_slugs: Sequence[str]) -> Query[dict[str, Any]]:
        """Read the steps of flows, in order of their index, each with the slugs of its dependencies."""
        return Query(
            sql=f"""
                select s.flow_slug, s.step_slug, s.step_type,
                  s.opt_max_attempts, s.opt_base_delay, s.opt_timeout, s.opt_start_delay, {self.CONDITIONS},
                  {self.LIMITS.strip()},
                  array(
                    select d.dep_slug
                    from pgflow.deps d
                    where d.flow_slug = s.flow_slug and d.step_slug = s.step_slug
                    order by d.dep_slug
                  ) as dependencies
                from pgflow.steps s
                where s.flow_slug = any(%(flow_slugs)s::text[])
                order by s.flow_slug, s.step_index
            """,  # noqa: S608 - constants
            params={"flow_slugs": list(flow_slugs)},
            read=lambda row: row,
        )

    def add_step(self, flow_slug: str, step: Step) -> Query[None]:
        """Add a step behind the steps that the flow has.

        Raises:
            NotSupported: The step asks for what the core does not have.
        """
        return Query(
            sql="select 1 from pgflow.add_step("  # noqa: S608 - constants
            "flow_slug => %(flow_slug)s, step_slug => %(step_slug)s, deps_slugs => %(dependencies)s::text[], "
            "max_attempts => %(max_attempts)s::integer, base_delay => %(base_delay)s::integer, "
            "timeout => %(timeout)s::integer, start_delay => %(start_delay)s::integer, step_type => %(step_type)s"
            f"{self.PARAMETERS})",
            params={
                "flow_slug": flow_slug,
                "step_slug": step.slug,
                "dependencies": list(step.dependencies),
                "max_attempts": step.options.max_attempts,
                "base_delay": step.options.base_delay,
                "timeout": step.options.timeout,
                "start_delay": step.options.start_delay,
                "step_type": step.step_type,
                "required_input_pattern": step.required_input_pattern,
                "forbidden_input_pattern": step.forbidden_input_pattern,
                "when_unmet": step.when_unmet,
                "when_exhausted": step.when_exhausted,
            },
            read=lambda row: None,
        )

    def set_limit(self, flow_slug: str, step: Step) -> list[Query[None]]:
        """Say how many tasks of a step all workers may have in hand at a time, or that there is no limit.

        Raises:
            NotSupported: There is a limit, and the core cannot keep it.
        """
        return [
            Query(
                sql="select django_pgflow.set_concurrency_limit("
                "flow_slug => %(flow_slug)s, step_slug => %(step_slug)s, "
                "max_count => %(max_count)s::integer, key_path => %(key_path)s::text[])",
                params={
                    "flow_slug": flow_slug,
                    "step_slug": step.slug,
                    "max_count": step.concurrency_limit,
                    "key_path": step.concurrency_key.split(".") if step.concurrency_key else [],
                },
                read=lambda row: None,
            )
        ]

    def delete_flow_and_data(self, flow_slug: str) -> Query[None]:
        """Delete a flow with all its runs and its queue.

        Raises:
            NotSupported: The core cannot.
        """
        return Query(
            sql="select pgflow.delete_flow_and_data(%(flow_slug)s)",
            params={"flow_slug": flow_slug},
            read=lambda row: None,
        )


class DefinitionsV014(Definitions):
    """pgflow 0.14: nothing limits what all workers do together."""

    LIMITS = "null::integer as concurrency_limit, null::text as concurrency_key"

    def add_step(self, flow_slug: str, step: Step) -> Query[None]:
        """Do as our own core does, and refuse a step with a limit."""
        self._refuse_limit(step)
        return super().add_step(flow_slug, step)

    def set_limit(self, flow_slug: str, step: Step) -> list[Query[None]]:
        """Refuse a limit; none is none."""
        self._refuse_limit(step)
        return []

    def _refuse_limit(self, step: Step) -> None:
        if step.concurrency_limit is not None:
            raise exceptions.NotSupported(f"concurrency_limit= of step {step.slug!r}", OUR_CORE, self.name)


class DefinitionsV013(DefinitionsV014):
    """pgflow 0.10 to 0.13: steps have no conditions yet, and no step is ever skipped."""

    CONDITIONS = (
        "null::text as required_input_pattern, null::text as forbidden_input_pattern, "
        "'skip' as when_unmet, 'fail' as when_exhausted"
    )
    PARAMETERS = ""

    def add_step(self, flow_slug: str, step: Step) -> Query[None]:
        """Do as later cores do, and refuse a step that may be skipped."""
        needs = "pgflow 0.14 or later"
        if step.required_input_pattern is not None or step.forbidden_input_pattern is not None:
            raise exceptions.NotSupported(f"The condition of step {step.slug!r}", needs, self.name)
        if step.when_exhausted != "fail":
            raise exceptions.NotSupported(
                f"when_exhausted={step.when_exhausted!r} of step {step.slug!r}", needs, self.name
            )
        return super().add_step(flow_slug, step)


class DefinitionsV07(DefinitionsV013):
    """pgflow 0.7 and 0.8: flows are never deleted."""

    def delete_flow_and_data(self, flow_slug: str) -> Query[None]:
        """Refuse: no function deletes."""
        raise exceptions.NotSupported(f"Deleting the flow {flow_slug!r}", "pgflow 0.10 or later", self.name)


def definitions_for(found: Capabilities) -> Definitions:
    """Return what fits a database."""
    if found.is_ours or not found.is_installed:
        return Definitions(found.version_name)
    if found.has_conditions:
        return DefinitionsV014(found.version_name)
    return (DefinitionsV013 if found.has_compilation else DefinitionsV07)(found.version_name)
