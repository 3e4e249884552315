"""The queue as an extension, where the server has it: a real extension, made of the SQL that the package ships."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import environ
import pytest
from pgmq.install import get_embedded_install_sql

from example_project import embedded_postgres
from tests.matrix import servers
from tests.migrations.conftest import Scratch

CONTROL = """
comment = 'A lightweight message queue'
default_version = '{version}'
relocatable = false
schema = 'pgmq'
superuser = false
trusted = true
"""


def write_extension(folder: Path, version: str = "1.13.0") -> None:
    """Write the two files of the extension into a server's folder."""
    (folder / "pgmq.control").write_text(CONTROL.format(version=version))
    (folder / f"pgmq--{version}.sql").write_text(get_embedded_install_sql())


@contextlib.contextmanager
def debian_15(folder: Path) -> Iterator[str]:
    """Run a copy of Debian's server 15 that has the extension; a server finds its files from where it stands."""
    programs = servers.debian_bin(15)
    shared = Path("/usr/share/postgresql/15")
    if programs is None or not shared.exists():
        raise servers.CannotBeHad("PostgreSQL 15 of Debian is not installed")
    copy = folder / "lib/postgresql/15"
    shutil.copytree(programs, copy / "bin")
    (copy / "lib").symlink_to(programs.parent / "lib")
    shutil.copytree(shared, folder / "share/postgresql/15")
    write_extension(folder / "share/postgresql/15/extension")
    with servers.cluster(copy / "bin") as url:
        yield url


@contextlib.contextmanager
def embedded_18(folder: Path) -> Iterator[str]:
    """Run the embedded server 18, which may look for extensions in a folder more."""
    (folder / "extension").mkdir()
    write_extension(folder / "extension")
    with embedded_postgres.temporary(version=18) as server:
        url = server.url()
        Scratch(url, conninfo(url)).execute(f"alter database postgres set extension_control_path = '{folder}:$system'")
        yield url


def conninfo(url: str) -> dict[str, str | None]:
    """Return what psycopg needs to connect."""
    config = environ.Env.db_url_config(url)
    return {"host": config["HOST"], "user": config["USER"], "dbname": config["NAME"]}


@pytest.fixture(params=[debian_15, embedded_18], ids=lambda server: server.__name__)
def database(request: pytest.FixtureRequest) -> Iterator[Scratch]:
    """An empty database on a server that has the extension."""
    # Not pytest's folder, which the user that the server runs under may not enter.
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgflow-")))
        folder.chmod(0o755)
        try:
            url = stack.enter_context(request.param(folder))
        except servers.CannotBeHad as reason:
            pytest.skip(str(reason))
        yield Scratch(url, conninfo(url))


def extensions(database: Scratch) -> list[tuple[str, ...]]:
    return database.execute("select extname, extversion from pg_extension where extname <> 'plpgsql'")


def test_migrate_takes_the_extension_up_down_and_up_again(database: Scratch) -> None:
    database.manage("migrate", "-v0")
    assert extensions(database) == [("pgmq", "1.13.0")]
    first = database.objects()
    database.execute("select pgflow.create_flow('made_by_hand'), pgflow.add_step('made_by_hand', 'a')")
    assert database.execute("select status from pgflow.start_flow('made_by_hand', '{}')") == [("started",)]
    assert database.execute("select count(*) from pgmq.q_made_by_hand") == [(1,)]

    database.manage("migrate", "pgflow", "zero", "-v0")
    assert extensions(database) == []
    assert database.schemas() == {"public"}

    database.manage("migrate", "-v0")
    assert extensions(database) == [("pgmq", "1.13.0")]
    assert database.objects() == first


def test_an_extension_that_was_there_is_used_and_left(database: Scratch) -> None:
    database.execute("create extension pgmq")
    database.execute("select pgmq.create('mail')")
    database.manage("migrate", "-v0")
    database.manage("migrate", "pgflow", "zero", "-v0")
    assert extensions(database) == [("pgmq", "1.13.0")]
    assert database.execute("select queue_name from pgmq.list_queues()") == [("mail",)]
