"""Lists the plugins of ``fixtures/``."""

pytest_plugins: list[str] = []
