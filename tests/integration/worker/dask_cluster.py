"""A Dask cluster of two processes on this machine: prints the scheduler's address, and stays until its input ends."""

from __future__ import annotations

import sys

import dask
from distributed import LocalCluster


def main(port: int) -> None:
    """Serve."""
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, scheduler_port=port, dashboard_address=None, silence_logs=50
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
