"""The command line of the demo."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError
    return port


_port.__name__ = "port"  # argparse shows it


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m example_project.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="run the example flows to their end, check them, and stop")
    parser.add_argument(
        "--port", type=_port, default=8000, help="of the web server; 0 takes a free one (default: 8000)"
    )
    parser.add_argument(
        "--state", type=Path, default=ROOT / ".demo", help="folder for all that is kept (default: .demo)"
    )
    options = parser.parse_args()
    if sys.version_info < (3, 11):  # noqa: UP036 - told before anything newer is imported
        print("The demo needs Python 3.11 or later; this is " + sys.version.split()[0] + ".", file=sys.stderr)
        return 1

    from example_project.demo import supervisor

    return supervisor.main(state=options.state, port=options.port, once=options.once, root=ROOT)


if __name__ == "__main__":
    sys.exit(main())
