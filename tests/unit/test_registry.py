"""Flows by slug, and how they are found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_pgflow import Flow, FlowDefinitionError, FlowNotFound, registry, start_flow
from tests.testapp import flows


def test_flows_of_apps_are_found() -> None:
    assert registry.get("greet") is flows.greet
    assert list(registry.all_flows())[:2] == ["greet", "chain"]


def test_an_unknown_flow_is_named_with_the_known_ones() -> None:
    with pytest.raises(FlowNotFound, match=r"No flow is registered as 'gret'. Registered: .*greet"):
        registry.get("gret")
    with pytest.raises(FlowNotFound):
        start_flow("gret", name="Ada")


def test_the_copy_that_all_flows_returns_changes_nothing() -> None:
    registry.all_flows().clear()
    assert registry.all_flows()


def test_a_slug_is_taken_without_regard_to_case_until_it_is_forgotten() -> None:
    with pytest.raises(FlowDefinitionError, match=r"two flows 'GREET' and 'greet'.*testapp/flows.py:\d+"):
        Flow("GREET")
    Flow("new")
    registry.unregister("new")
    Flow("NEW")
    registry.unregister("never_there")


def test_flow_modules_are_imported_besides(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more_flows.py").write_text("from django_pgflow import Flow\nmore = Flow('more')\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings.PGFLOW = {"FLOW_MODULES": ["more_flows"]}
    registry.autodiscover()
    assert registry.get("more").module == "more_flows"
    settings.PGFLOW = {"FLOW_MODULES": "more_flows"}
    with pytest.raises(ImproperlyConfigured, match="write a list"):
        registry.autodiscover()
    settings.PGFLOW = ["more_flows"]
    with pytest.raises(ImproperlyConfigured, match="not a dict"):
        registry.autodiscover()


def test_check_of_a_broken_flows_py_ends_with_file_and_line(tmp_path: Path) -> None:
    app = tmp_path / "shop"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "flows.py").write_text(
        "from django_pgflow import Flow\nbuy = Flow('buy')\n\n@buy.step\ndef pay(flow_inptu): ...\n"
    )
    (tmp_path / "shop_settings.py").write_text("INSTALLED_APPS = ['django_pgflow', 'shop']\n")
    done = subprocess.run(
        [sys.executable, "-c", "from django.core.management import execute_from_command_line as e; e(['', 'check'])"],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}:.",
            "DJANGO_SETTINGS_MODULE": "shop_settings",
        },
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith(
        f"django_pgflow.exceptions.FlowDefinitionError: {app}/flows.py:4: "
        "The parameter 'flow_inptu' of step 'pay' is neither an earlier step nor a reserved name. "
        "Did you mean 'flow_input'?"
    )
