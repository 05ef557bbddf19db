"""Installs the reference implementation, by package name and pinned, into a virtual environment of the build. Once: what is
there and complete is used as it is."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

REQUIREMENTS = pathlib.Path(__file__).resolve().parent / "requirements.txt"


def interpreter_with_reference(environments):
    """The Python of an environment below `environments` that has all of requirements.txt; installs it if there is none."""
    pins = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    home = environments.resolve() / f"reference-{pins}"
    python = home / "bin" / "python"
    complete = home / "complete"
    if complete.exists():
        return python
    shutil.rmtree(home, ignore_errors=True)
    print(f"installing the reference implementation into {home}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:",
               "-r", str(REQUIREMENTS)]
    subprocess.run(install, check=True)
    complete.touch()
    return python


def run_inside(environments):
    """Goes on in the environment: replaces this process unless it runs there already."""
    python = interpreter_with_reference(environments)
    if pathlib.Path(sys.prefix).resolve() != python.parent.parent:
        os.execv(python, [str(python), "-B", *sys.argv])
