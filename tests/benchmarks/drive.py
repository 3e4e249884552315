"""A driver's process: ``python -m tests.benchmarks.drive <module>``; with ``worker`` after it one of its workers."""

from __future__ import annotations

import importlib
import sys

from tests.benchmarks import protocol

module = importlib.import_module(sys.argv[1])
if sys.argv[2:] == ["worker"]:
    module.work()
elif hasattr(module, "main"):
    module.main()
else:
    protocol.main(module.Driver)
