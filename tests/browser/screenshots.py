"""Make the pictures of the admin: ``make screenshots``. They are what the browser tests see on their way."""

from __future__ import annotations

import os
import sys

import pytest

if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else "screenshots"
    os.environ["SCREENSHOTS"] = folder
    code = pytest.main(["-q", "-m", "browser", "tests/browser"])
    print(f"The pictures are in {os.path.abspath(folder)}")
    sys.exit(code)
