"""What the drivers share whose library keeps its jobs in PostgreSQL."""

from __future__ import annotations

import sys
from typing import Any

import psycopg

from tests.benchmarks import protocol


class PostgresDriver(protocol.Driver):
    """Looks at the library's tables on a connection of its own."""

    def connect(self) -> None:
        """Connect; to be called when the tables are there."""
        self._connection = psycopg.connect(self.url, autocommit=True)

    def value(self, statement: str, *parameters: Any) -> Any:
        """Execute a statement, and return the first column of its first row."""
        cursor = self._connection.execute(statement, parameters or None, prepare=True)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def worker_command(self) -> list[str]:
        """Call the function ``work`` of the driver's module."""
        return [sys.executable, "-m", "tests.benchmarks.drive", type(self).__module__, "worker"]
