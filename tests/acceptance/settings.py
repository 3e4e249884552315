"""Settings of the worker processes that acceptance tests start: those of the suite, and more flows."""

from __future__ import annotations

import json
import os

from tests.settings import *  # noqa: F403

PGFLOW = {"FLOW_MODULES": ["tests.acceptance.flows"], **json.loads(os.environ.get("TEST_PGFLOW", "{}"))}
