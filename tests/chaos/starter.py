"""A process that starts runs in transactions, some of which it rolls back; writes what it knows to have committed.

Each line of its output is a word and a run's id: ``committed``, ``rolled-back``, or ``unknown`` if the connection was
lost before Postgres answered.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from uuid import UUID

import django
from django.db import InterfaceError, OperationalError, connection, transaction

ROLLED_BACK = 0.15
"""Share of transactions that are rolled back on purpose."""


class OnPurpose(Exception):
    """Rolls a transaction back."""


def start_one(run_id: UUID, dice: random.Random) -> str:
    """Start a run and note it, in one transaction; return how that ended."""
    from django_pgflow import registry
    from tests.chaos import answers

    flow_slug = dice.choices(list(answers.WEIGHTS), list(answers.WEIGHTS.values()))[0]
    value = answers.make_input(flow_slug, dice)
    roll_back = dice.random() < ROLLED_BACK
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("insert into chaos.starts values (%s, %s, %s)", [run_id, flow_slug, json.dumps(value)])
            registry.get(flow_slug).using(run_id=run_id).start(value)
            if roll_back:
                raise OnPurpose
    except OnPurpose:
        note_rollback(run_id)
        return "rolled-back"
    return "committed"


def note_rollback(run_id: UUID) -> None:
    """Write that a run was rolled back."""
    with connection.cursor() as cursor:
        cursor.execute("insert into chaos.rollbacks values (%s)", [run_id])


def main() -> None:
    """Start runs until the time is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, required=True, help="runs a second")
    arguments = parser.parse_args()
    django.setup()
    dice = random.Random(f"starter {arguments.seed}")
    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        # By seed, and so is all that the run does, however long the last one took.
        run_id = UUID(int=dice.getrandbits(128), version=4)
        try:
            print(start_one(run_id, random.Random(run_id.int)), run_id, flush=True)
        except (OperationalError, InterfaceError):
            print("unknown", run_id, flush=True)
            connection.close()
        time.sleep(dice.expovariate(arguments.rate))


if __name__ == "__main__":
    main()
