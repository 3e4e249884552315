"""Lists the plugins of ``fixtures/``."""

pytest_plugins: list[str] = [
    "tests.fixtures.collection",
    "tests.fixtures.pgbouncer",
    "tests.fixtures.sql",
    "tests.fixtures.platform",
    "tests.fixtures.worker",
]
