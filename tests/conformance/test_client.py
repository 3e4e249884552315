"""Python's verbs and models on a core that others installed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.conftest import Foreign

pytestmark = pytest.mark.acceptance


def python(foreign: Foreign, code: str) -> Any:
    """Run a script that prints JSON."""
    header = "import json\nfrom django_pgflow import client, exceptions, models\nfrom tests.conformance import flows\n"
    return json.loads(foreign.python(header + code).splitlines()[-1])


def test_flows_are_started_and_waited_for(adopted: Foreign) -> None:
    started = python(
        adopted,
        "first = flows.flaky.start()\n"
        "second, third = flows.maps.bulk_start([[1, 2], []])\n"
        "print(json.dumps([str(run.pk) for run in (first, second, third)]))",
    )
    adopted.work()
    outputs = python(
        adopted,
        f"print(json.dumps([models.Run.objects.get(pk=pk).result(timeout=5) for pk in {started}]))",
    )
    assert outputs == [{"third_time": [3, 3]}, {"total": 7}, {"total": 0}]


def test_a_key_starts_once(adopted: Foreign) -> None:
    assert python(
        adopted,
        "runs = [flows.chain.using(key='k').start(a=n) for n in (1, 2)]\n"
        "print(json.dumps([runs[0].pk == runs[1].pk, runs[0].created, runs[1].created]))",
    ) == [True, True, False]


def test_notes_and_restarts_are_kept_beside_the_core(adopted: Foreign) -> None:
    assert python(
        adopted,
        "old = flows.chain.using(meta={'by': 'me'}).start(a=1)\n"
        "new = old.restart()\n"
        "other = old.restart(a=2)\n"
        "many = flows.chain.using(meta={'batch': 7}).bulk_start([{}, {}])\n"
        "print(json.dumps([new.input, new.details.meta, str(new.details.restarted_from_id) == str(old.pk),\n"
        "                  other.input, [run.details.meta for run in many]]))",
    ) == [{"a": 1}, {"by": "me"}, True, {"a": 2}, [{"batch": 7}] * 2]


def test_a_failure_is_told(adopted: Foreign) -> None:
    run_id = adopted.start("con_hopeless")
    adopted.work("con_hopeless")
    assert (
        python(
            adopted,
            f"try: client.result({str(run_id)!r})\n"
            "except exceptions.RunFailed as error: print(json.dumps(error.error))",
        )
        == "ValueError: no  luck"
    )


def test_verbs_that_the_core_lacks_are_named_errors(adopted: Foreign) -> None:
    assert python(
        adopted,
        "run = flows.chain.start(a=1)\n"
        "said = []\n"
        "for verb in (run.cancel, run.resume, lambda: client.retry_tasks([(run.pk, 'root', 0)]),\n"
        "             lambda: flows.chain.using(delay=5).start()):\n"
        "    try: verb()\n"
        "    except exceptions.NotSupported as error: said.append(error.what)\n"
        "print(json.dumps(said))",
    ) == [
        "Cancelling a run",
        "Resuming a run",
        "Retrying failed tasks",
        "Starting a run later",
    ]


def test_retrying_in_the_admin_is_answered_with_what_it_needs(adopted: Foreign) -> None:
    adopted.start("con_hopeless")
    adopted.work("con_hopeless")
    assert python(
        adopted,
        "from django.contrib.auth.models import User\n"
        "from django.contrib.messages import get_messages\n"
        "from django.test import Client\n"
        "browser = Client()\n"
        "browser.force_login(User.objects.create_superuser('boss'))\n"
        "form = {'action': 'retry_selected', '_selected_action': models.FailedTask._base_manager.get().key,\n"
        "        'confirmed': 'yes'}\n"
        "answer = browser.post('/admin/pgflow/failedtask/', form)\n"
        "print(json.dumps([answer.status_code, [str(m)[:47] for m in get_messages(answer.wsgi_request)]]))",
    ) == [302, ["Retrying failed tasks needs the core that djang"]]


def test_pages_show_runs_steps_and_tasks(adopted: Foreign) -> None:
    adopted.start("con_maps", [1, 2])
    adopted.start("con_hopeless")
    adopted.work()
    answers = python(
        adopted,
        "from django.conf import settings\n"
        "from django.contrib.admin import site\n"
        "from django.contrib.auth.models import User\n"
        "from django.test import Client\n"
        "from django.urls import reverse\n"
        "browser = Client()\n"
        "browser.force_login(User.objects.create_superuser('boss'))\n"
        "pages = [reverse(f'admin:pgflow_{m._meta.model_name}_changelist') for m in site._registry\n"
        "         if m._meta.app_label == 'pgflow']\n"
        "pages += [reverse('admin:pgflow_run_change', args=[run.pk]) for run in models.Run.objects.all()]\n"
        "pages += [reverse(f'admin:pgflow_{m._meta.model_name}_change', args=[row.pk]) for m in site._registry\n"
        "          if m._meta.model_name.endswith('row') for row in m._base_manager.all()]\n"
        "answers = {}\n"
        "for page in pages:\n"
        "    try: answers[page] = browser.get(page).status_code\n"
        "    except Exception as error: answers[page] = str(error).splitlines()[0]\n"
        "print(json.dumps(answers))",
    )
    assert len(answers) > 15
    # What shows workers asks when they stopped, which 0.7.2 does not know.
    known = {"0.14.1": {200}, "0.7.2": {200, "column workers.stopped_at does not exist"}}[adopted.version]
    assert set(answers.values()) == known, answers
    assert list(answers.values()).count(200) > 8
