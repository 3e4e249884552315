"""What a supervisor and its worker processes say to each other: single bytes over a pair of sockets.

An order is a level, not an event. A signal often reaches supervisor and workers alike (Ctrl-C in a terminal, systemd's
``KillMode=control-group``); what the supervisor then passes on must not count as a second signal.

A worker whose supervisor is gone, however it went, reads the end of the stream, and stops in order.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from django_pgflow.worker.worker import Worker

logger = logging.getLogger(__name__)

VARIABLE = "DJANGO_PGFLOW_SUPERVISOR"
"""Environment variable with the number of the worker's socket. The rest of the command line is the supervisor's own."""

STOP, STOP_AT_ONCE = b"s", b"u"
"""Orders to a worker: as by the first signal, as by the second."""
READY, AT_LIMIT = b"r", b"l"
"""News from a worker: it begins to work; it ends because of a limit, and wants a successor."""


class Line:
    """The worker's end.

    Args:
        end: A connected socket.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    @classmethod
    def from_environment(cls) -> Self | None:
        """Return the line to the supervisor that started this process; None if there is none.

        The variable is taken away: processes that a handler starts are not the supervisor's.
        """
        number = os.environ.pop(VARIABLE, None)
        if number is None:
            return None
        end = socket.socket(fileno=int(number))
        end.set_inheritable(False)
        return cls(end)

    def tell(self, news: bytes) -> None:
        """Send news, if anybody is left to hear them."""
        with contextlib.suppress(OSError):
            self._socket.send(news)

    def obey(self, worker: Worker) -> None:
        """Carry out orders, in a thread of its own."""
        threading.Thread(target=self._listen, args=[worker], name="pgflow-supervisor", daemon=True).start()

    def _listen(self, worker: Worker) -> None:
        orders = b""
        while STOP_AT_ONCE not in orders:
            try:
                orders = self._socket.recv(16)
            except OSError:
                orders = b""
            worker.stop("supervisor" if orders else "end of the supervisor")
            if not orders:
                return
        worker.stop_at_once("supervisor")
