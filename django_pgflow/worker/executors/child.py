"""The process at the other end of ``processes.Child``: it executes one task after the other until nobody is there."""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import sys
from multiprocessing.connection import Connection

from django_pgflow.worker import connections
from django_pgflow.worker.executors import remote


def main(tasks: int, lifeline: int, log_level: int, log_format: str) -> None:
    """Serve.

    Args:
        tasks: File descriptor of a socket: payloads come in, outcomes go out.
        lifeline: File descriptor of a pipe that ends when the worker does.
        log_level, log_format: For a project that does not configure its logging.
    """
    for descriptor in (tasks, lifeline):
        os.set_inheritable(descriptor, False)
    end_with(lifeline)
    for number in (signal.SIGINT, signal.SIGTERM):
        # They are for the worker, which ends us when it is time. A function, as SIG_IGN would be inherited by what
        # handlers start.
        signal.signal(number, lambda *_: None)
    remote.set_up()
    show_log(log_level, log_format)
    connection = Connection(tasks)
    connection.send(None)
    try:
        while True:
            connection.send(remote.execute(connection.recv_bytes()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        connections.close_all()


def end_with(lifeline: int) -> None:
    """Have the kernel end this process and all that it starts as soon as the other end of a pipe is closed.

    A thread that waits for it would have to wait for the handler, too, where that is in C code and holds the GIL. And
    Linux's parent-death signal would come when the *thread* of the worker ends that started us.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)  # which is to end the process
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:
        sys.exit("The worker has ended.")


def show_log(level: int, form: str) -> None:
    """Show the log on standard error as the worker does, if the project has not said what to do with it."""
    logger = logging.getLogger("django_pgflow")
    if form and not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(form))
        logger.addHandler(handler)
        logger.setLevel(level)
