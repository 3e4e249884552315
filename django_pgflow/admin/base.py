"""What all our pages share: they are read-only, bounded in cost, and read the database that ``PGFLOW`` names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_permission_codename
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from django_pgflow import conf
from django_pgflow.admin import filters

MAX_COUNT = 10_000
"""Rows that a list counts, and so pages through, at most; further ones are found by filters and search."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """A paginator that stops counting at ``MAX_COUNT``."""

    @cached_property
    def _counted(self) -> int:
        rows: models.QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[: MAX_COUNT + 1].count()

    @cached_property
    def count(self) -> int:
        """Rows, or ``MAX_COUNT`` if there are more."""
        return min(self._counted, MAX_COUNT)

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than were counted."""
        return self._counted > MAX_COUNT


class BoundedChangeList(ChangeList):
    """A list that does not read the large columns, and whose rows the admin class may complete in one go."""

    model_admin: PgflowAdmin

    def get_queryset(self, *args: Any, **kwargs: Any) -> models.QuerySet[Any]:
        """Leave out the large columns."""
        return super().get_queryset(*args, **kwargs).defer(*self.model_admin.large_columns)

    def get_results(self, request: HttpRequest) -> None:
        """Let the admin class add to the rows of the page what takes a query."""
        super().get_results(request)
        self.result_list = self.model_admin.complete(list(self.result_list))

    def url_for_result(self, result: Any) -> str:
        """Return the address of a row's page."""
        return self.model_admin.url_of(result) or super().url_for_result(result)


class PgflowAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Base of our admin classes.

    Attributes:
        permission_model: The model whose view permission counts, where it is not the registered one (which then
            stands on a view and has no permissions of its own).
        large_columns: Columns that lists do not read.
    """

    permission_model: ClassVar[type[models.Model] | None] = None
    large_columns: ClassVar[Sequence[str]] = ()

    actions_on_bottom = False
    list_max_show_all = 0
    list_per_page = 50
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ()

    class Media:
        css = {"all": ["pgflow/admin.css"]}

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Read the database that holds the flows."""
        return super().get_queryset(request).using(conf.get().DATABASE)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Use the bounded list."""
        return BoundedChangeList

    def complete(self, rows: list[Any]) -> list[Any]:
        """Add to the rows of one page what the list shows besides their columns."""
        return rows

    def url_of(self, row: Any) -> str | None:
        """Return the address of a row's page; None for the usual one."""
        return None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds rows here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes rows here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes rows here."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Ask for the permission to view the underlying table's model."""
        return may_view(request, self.permission_model or self.model)


def may_view(request: HttpRequest, model: type[models.Model]) -> bool:
    """Return whether the user may view a model."""
    codename = get_permission_codename("view", model._meta)
    return request.user.has_perm(f"{model._meta.app_label}.{codename}")


class RunSearch(PgflowAdmin):
    """Search by a run's id, whole or its beginning."""

    search_fields = ("run_id",)
    search_help_text = _("The id of a run, or its beginning")

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """Turn the beginning of an id into a range of ids."""
        if not search_term.strip():
            return queryset, False
        found = filters.id_range(search_term)
        if found is None:
            return queryset.none(), False
        # Not a range: a foreign key has no such lookup.
        return queryset.filter(run_id__gte=found[0], run_id__lte=found[1]), False


def column(description: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """Mark a method as a column with this heading."""
    decorate: Callable[[Any], Any] = admin.display(description=description, **kwargs)
    return decorate
