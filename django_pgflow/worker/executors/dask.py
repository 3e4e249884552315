"""A Dask cluster, for ``PGFLOW["EXECUTORS"]``. Needs the extra ``django-pgflow[distributed]``."""

from __future__ import annotations

from typing import Any

from distributed import Client
from distributed.cfexecutor import ClientExecutor

CONNECTING = 10
"""Seconds in which the scheduler must answer."""


class ClusterExecutor(ClientExecutor):
    """A ``concurrent.futures.Executor`` on the workers of a Dask cluster.

    Args:
        address: The scheduler's: ``"tcp://scheduler:8786"``.
        options: Of ``Client.get_executor``, as ``resources={"GPU": 1}`` or ``workers=["gpu-1"]``.
    """

    def __init__(self, address: str, **options: Any) -> None:
        client = Client(address, timeout=CONNECTING, set_as_default=False, name="django-pgflow")  # type: ignore[no-untyped-call]
        # Pure, one task's result would be given to all that look the same.
        super().__init__(client, **{"pure": False, **options})  # type: ignore[no-untyped-call]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the connection to the cluster, too."""
        try:
            super().shutdown(wait)  # type: ignore[no-untyped-call]
        finally:
            self._client.close()
