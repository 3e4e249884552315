"""The command ``pgflow_sync``."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from django_pgflow import client, registry
from tests.integration.compiler.conftest import Build, execute, rows

pytestmark = pytest.mark.django_db


def pgflow_sync(*args: str) -> str:
    out = io.StringIO()
    call_command("pgflow_sync", *args, stdout=out, no_color=True)
    return out.getvalue()


def test_check_is_content_when_code_and_database_agree() -> None:
    assert pgflow_sync("--check") == "All flows agree with the database 'default'.\n"


def test_check_lists_what_differs_changes_nothing_and_exits_with_1(build: Build) -> None:
    build(a=[])
    execute("update pgflow.flows set opt_timeout = 5 where flow_slug = 'greet'")
    out = io.StringIO()
    with pytest.raises(CommandError, match=r"differs from the code in 2 flows: greet, shop\. Run") as caught:
        call_command("pgflow_sync", "--check", stdout=out)
    assert caught.value.returncode == 1
    assert out.getvalue() == (
        "greet:\n  timeout of the flow: 60 in the code, 5 in the database\nshop:\n  the flow is not in the database\n"
    )
    assert rows("select opt_timeout from pgflow.flows where flow_slug = 'greet'") == [(5,)]


def test_it_writes_the_flows(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    build(a=[])
    count = len(registry.all_flows())
    assert pgflow_sync() == f"All {count} flows agree with the database 'default'.\n"
    assert capsys.readouterr().out == "  Flow 'shop' was created.\n"


def test_orphans_are_listed_and_no_fault(build: Build) -> None:
    build("gone", a=[])
    pgflow_sync()
    registry.unregister("gone")
    assert "In the database, not in the code, and left alone: gone." in pgflow_sync("--check")


def test_a_refusal_is_explained_and_exits_with_1(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    build(a=[])
    pgflow_sync()
    client.start("shop", ["{}"])
    build(b=[])
    with pytest.raises(CommandError, match=r"1 of \d+ flows were refused: shop."):
        pgflow_sync()
    assert "pgflow_sync --recreate shop" in capsys.readouterr().err


def test_recreate_asks_before_it_deletes_runs(
    build: Build, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build(a=[])
    pgflow_sync()
    client.start("shop", ["{}"])
    build(b=[])
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "no")
    with pytest.raises(CommandError, match="Nothing was changed"):
        pgflow_sync("--recreate", "shop")
    assert "all its 1 runs" in asked[0]
    assert rows("select count(*) from pgflow.runs where flow_slug = 'shop'") == [(1,)]
    pgflow_sync("--recreate", "shop", "--no-input")
    assert rows("select step_slug from pgflow.steps where flow_slug = 'shop'") == [("b",)]
    assert rows("select count(*) from pgflow.runs where flow_slug = 'shop'") == [(0,)]


def test_recreate_of_what_agrees_does_nothing_and_says_so(build: Build) -> None:
    build(a=[])
    pgflow_sync()
    client.start("shop", ["{}"])
    assert "Flow 'shop' agrees with the database, and was not created anew." in pgflow_sync("--recreate", "shop")
    assert rows("select count(*) from pgflow.runs where flow_slug = 'shop'") == [(1,)]


def test_recreate_of_an_unknown_flow_names_the_known_ones() -> None:
    with pytest.raises(CommandError, match=r"No flow is registered as 'gret'. Registered: .*greet"):
        pgflow_sync("--recreate", "gret")


def test_without_the_core_it_says_to_migrate() -> None:
    execute("drop schema pgflow cascade")
    with pytest.raises(
        CommandError, match=r"pgflow is not installed in the database 'default'. Run `manage.py migrate`"
    ):
        pgflow_sync("--check")
