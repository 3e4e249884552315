"""Objects, releases and migrations agree."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from pathlib import Path

import pytest

from django_pgflow import migrations, operations

SCHEMAS = ("pgflow", "django_pgflow")


def included(script: Path) -> list[Path]:
    """Return the files that a script includes."""
    return [(script.parent / name).resolve() for name in operations.INCLUDE.findall(script.read_text())]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_release_includes_each_object_once(schema: str) -> None:
    folder = operations.SQL_FOLDER / schema
    objects = {path.resolve() for path in (folder / "objects").rglob("*.sql")}
    counts = Counter(included(folder / "releases" / "0001_initial" / "up.sql"))
    assert set(counts) == objects
    assert set(counts.values()) == {1}


def test_what_stands_beside_a_foreign_core_is_included_once() -> None:
    folder = operations.SQL_FOLDER / "django_pgflow"
    beside = {path.resolve() for path in (folder / "beside").rglob("*.sql")}
    counts = Counter(included(folder / "releases" / "0001_initial" / "beside.sql"))
    assert set(counts) == beside | {(folder / "objects/grants/public.sql").resolve()}
    assert set(counts.values()) == {1}
    # Each takes the place of an object of ours.
    for path in beside:
        assert (folder / "objects" / path.relative_to((folder / "beside").resolve())).exists(), path


@pytest.mark.parametrize("schema", SCHEMAS)
def test_an_object_stands_in_a_file_of_its_name(schema: str) -> None:
    for path in (operations.SQL_FOLDER / schema / "objects").rglob("*.sql"):
        if path.parent.name in ("functions", "types", "tables", "views"):
            name = path.stem.split("_", 1)[1] if path.parent.name == "tables" else path.stem
            assert f"{schema}.{name}" in path.read_text(), path


def test_each_release_is_run_by_one_migration() -> None:
    used = Counter(
        (operation.schema, operation.name)
        for module in pkgutil.iter_modules(migrations.__path__)
        for operation in importlib.import_module(f"{migrations.__name__}.{module.name}").Migration.operations
        if isinstance(operation, operations.RunRelease)
    )
    releases = {(path.parent.parent.name, path.name) for path in operations.SQL_FOLDER.glob("*/releases/*")}
    assert set(used) == releases
    assert set(used.values()) == {1}
