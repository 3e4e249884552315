"""Settings of commands on databases whose core others installed."""

from __future__ import annotations

import json
import os

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "tests.testapp"]  # noqa: F405
PGFLOW = {
    "FLOW_MODULES": ["tests.conformance.flows"],
    "WORKER": {"poll_interval": 0.2},
    **json.loads(os.environ.get("TEST_PGFLOW", "{}")),
}
