"""The documentation names what there is, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from argparse import Action
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand
from django.dispatch import Signal

from django_pgflow import conf, signals
from django_pgflow.dsl.context import Context
from django_pgflow.dsl.steps import MapOptions

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = [path.stem for path in (ROOT / "django_pgflow/management/commands").glob("[a-z]*.py")]


def read(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(path: Path, language: str) -> list[str]:
    """Return the code of one language in a page, without the indentation of a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_examples_in_python_are_python(path: Path) -> None:
    for code in blocks(path, "python"):
        compile(code, path.name, "exec")


def test_every_page_can_be_reached_from_the_index() -> None:
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")} - {"index.md"}
    assert pages <= set(re.findall(r"\]\(([^)]+)\)", read("index.md")))


def test_every_setting_is_in_the_reference_with_its_default() -> None:
    (code,) = blocks(ROOT / "docs/reference/settings.md", "python")
    names: dict[str, object] = {}
    exec(code, names)
    defaults = conf.Settings()
    expected = {
        field.name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
        for field in dataclasses.fields(defaults)
        for value in [getattr(defaults, field.name)]
    }
    assert names["PGFLOW"] == expected
    rows = set(re.findall(r"^\| `([\w.]+)` \|", read("reference/settings.md"), re.MULTILINE))
    nested = {f"{group}.{key}" for group in conf.NESTED for key in conf.known_keys(group)}
    assert rows == {*conf.known_keys(), *nested}


def own_options(name: str) -> set[str]:
    command = load_command_class("django_pgflow", name)
    parser = command.create_parser("manage.py", name)
    django = {option for action in BaseCommand().create_parser("", "")._actions for option in action.option_strings}
    actions: list[Action] = parser._actions
    return {option for action in actions for option in action.option_strings} - django


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"flush"}))
def test_every_command_is_in_the_reference_with_its_options(name: str) -> None:
    section = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", read("reference/commands.md"), re.DOTALL | re.MULTILINE)
    assert section, f"no section on {name}"
    rows = "".join(re.findall(r"^\| (`--.*?) \|", section[1], re.MULTILINE))
    assert set(re.findall(r"`(--[\w-]+)`", rows)) == own_options(name)


def test_every_check_is_in_the_reference() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "django_pgflow").rglob("*.py"))
    used = set(re.findall(r"[\"'.]([EW]\d{3})[\"']", code))
    assert set(re.findall(r"^\| pgflow\.(\w+) \|", read("reference/checks.md"), re.MULTILINE)) == used


def test_every_signal_is_in_the_reference() -> None:
    sent = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert set(re.findall(r"^\| `(\w+)` \|", read("reference/signals.md"), re.MULTILINE)) == sent


def test_every_option_of_a_step_and_all_of_ctx_are_in_the_reference() -> None:
    text = read("reference/flows.md")
    options = set(MapOptions.__annotations__)
    table = text.partition("| Option |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == options
    table = text.partition("## ctx")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(\w+)(?:\(\))?`", table)) >= {name for name in vars(Context) if not name.startswith("_")}
