"""Several sessions at a time: the limit holds at every moment, and nothing waits for ever."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fixtures.sql import DEADLINE, Sessions, Sql, completed, failed, released
from tests.sql.concurrency_limits.conftest import indexes, limit, noted

WORKERS = 5


class Watch:
    """Looks all the time how many tasks are started for each key, on a session of its own."""

    def __init__(self, sql: Sql, flow_slug: str) -> None:
        self._sql = sql
        self._flow_slug = flow_slug
        self.most: Counter[str] = Counter()

    def look(self) -> None:
        rows = self._sql.rows(
            "select r.input ->> 'customer' as customer, count(*) from pgflow.step_tasks t "
            "join pgflow.runs r on r.run_id = t.run_id "
            "where t.flow_slug = %(slug)s and t.step_slug = 'each' and t.status = 'started' group by 1",
            slug=self._flow_slug,
        )
        for row in rows:
            self.most[row.customer] = max(self.most[row.customer], row.count)


@contextmanager
def watching(sessions: Sessions, flow_slug: str) -> Iterator[Watch]:
    watch = Watch(sessions.open(), flow_slug)
    stop = threading.Event()

    def go() -> None:
        while not stop.is_set():
            watch.look()

    looking = sessions.begin(go)
    try:
        yield watch
    finally:
        stop.set()
        looking.result(timeout=DEADLINE)


@pytest.mark.parametrize(("max_count", "customers"), [(1, 1), (3, 1), (2, 4), (1, 12)])
def test_no_moment_has_more_tasks_started_than_the_limit(sessions: Sessions, max_count: int, customers: int) -> None:
    """Under a hammering loop that completes, fails, gives back, and forgets."""
    opener = sessions.open()
    opener.define("race", "each", "after < each", max_attempts=1000, base_delay=0)
    limit(opener, max_count, "customer", flow="race")
    total = 60
    for n in range(total):
        opener.start("race", {"customer": n % customers})

    def worker(seed: int) -> int:
        chance = random.Random(seed)
        session = sessions.open()
        worker_id = session.worker()
        reports, held, idle = [], [], 0
        while idle < 60:
            records = session.exchange(["race"], *reports, capacity=chance.randint(1, 8), worker_id=worker_id)
            held += [record for record in records if record.kind == "claimed"]
            if not records and not reports:
                idle += 1
                # As the loop of a worker does.
                session.rows("select django_pgflow.requeue_lost_tasks()")
            chance.shuffle(held)
            ending, held = held[: len(held) // 2 + 1], held[len(held) // 2 + 1 :]
            reports = [chance.choice((completed, completed, completed, failed, released))(task) for task in ending]
            idle = 0 if held or reports else idle
            if not opener_left():
                break
        session.exchange(["race"], *reports, *map(released, held), capacity=0, worker_id=worker_id)
        return len(reports)

    counter = sessions.open()
    lock = threading.Lock()

    def opener_left() -> int:
        with lock:
            return int(
                counter.value("select count(*) from pgflow.runs where flow_slug = 'race' and status = 'started'")
            )

    with watching(sessions, "race") as watch:
        working = [sessions.begin(worker, seed) for seed in range(WORKERS)]
        for future in working:
            future.result(timeout=60)
        worker(99)  # what the last ones gave back
    assert opener_left() == 0
    assert max(watch.most.values()) <= max_count
    if customers == 1 and max_count > 1:
        assert max(watch.most.values()) == max_count


def test_of_two_that_look_at_the_same_time_nobody_waits_and_one_gets_the_last_place(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "each[]")
    limit(first, 1, flow="race")
    first.start("race", list(range(4)))
    workers = first.worker(), second.worker()
    with first.transaction():
        (one,) = first.exchange(["race"], capacity=1, worker_id=workers[0])
        two = sessions.begin(second.exchange, ["race"], capacity=1, worker_id=workers[1])
        assert not sessions.wait_until_blocked(second, two)
        assert two.result(timeout=DEADLINE) == []
    assert second.exchange(["race"], worker_id=workers[1]) == []
    assert indexes(first.exchange(["race"], completed(one), worker_id=workers[0])) == [1]


def test_other_keys_go_on_while_one_is_being_decided(sessions: Sessions) -> None:
    first, second = sessions.open(), sessions.open()
    first.define("race", "each")
    limit(first, 1, "customer", flow="race")
    for customer in (1, 1):
        first.start("race", {"customer": customer})
    worker_id = first.worker()
    with first.transaction():
        assert len(first.exchange(["race"], worker_id=worker_id)) == 1
        for customer in (1, 2):
            second.start("race", {"customer": customer})
        (other,) = second.exchange(["race"])
        assert other.input["run"] == {"customer": 2}


def test_a_task_that_begins_to_wait_while_the_place_is_given_up_is_woken_by_the_next_look(sessions: Sessions) -> None:
    """The one who gives up the place cannot see yet who waits for it."""
    first, second = sessions.open(), sessions.open()
    first.define("race", "each[]")
    limit(first, 1, flow="race")
    first.start("race", ["first"])
    (one,) = first.exchange(["race"])
    first.start("race", ["second"])
    with second.transaction():
        assert second.exchange(["race"]) == []
        assert first.exchange(["race"], completed(one)) == []
    assert noted(first) == {"waiting": 1}
    assert first.exchange(["race"]) == []
    first.rows("select django_pgflow.requeue_lost_tasks()")
    assert [task.input for task in first.exchange(["race"])] == ["second"]


def test_workers_that_wait_are_notified_of_free_places(sessions: Sessions) -> None:
    first, second, listener = sessions.open(), sessions.open(), sessions.open()
    first.define("race", "each[]")
    limit(first, 1, flow="race")
    first.start("race", list(range(3)))
    (one,) = first.exchange(["race"])
    assert second.exchange(["race"]) == []
    listener.rows("listen pgflow_queued")
    first.exchange(["race"], completed(one), capacity=0)
    (notification,) = listener.connection.notifies(timeout=DEADLINE, stop_after=1)
    assert notification.payload == "race"
    assert indexes(second.exchange(["race"])) == [1]
