"""The programs of which the test's cluster is made and that are in no Debian package, built by Go, once, each into a directory of its own below
an environments directory: what is there and complete is used as it is. Building all takes half an hour on two processors."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "deploy"))
import tools  # noqa: E402

# From 1.35 on the kubelet refuses a machine whose control groups are of version 1.
KUBERNETES_VERSION = "v1.34.4"
LIBRARIES_VERSION = "v0." + KUBERNETES_VERSION.removeprefix("v1.")
COREDNS_VERSION = "v1.15.0"
KUBERNETES_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
API_PROGRAMS = ("kube-apiserver", "kubectl", "helm")
NODE_PROGRAMS = (*KUBERNETES_PROGRAMS, "coredns", "helm")
# Where the definitions of the objects of others are: module, version, the directory in it.
DEFINITIONS = {
    "prometheus-operator": ("github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd"),
    "cert-manager": ("github.com/cert-manager/cert-manager", "v1.21.2", "deploy/crds"),
    "gateway-api": ("sigs.k8s.io/gateway-api", "v1.6.3", "config/crd/standard"),
}
# Kubernetes names its own libraries by directories that only its repository has; the registry has them as modules.
STAGING = re.compile(r"^\s*(k8s\.io/\S+) => \./staging/", re.MULTILINE)
VARIABLES = {"gitVersion": KUBERNETES_VERSION, "gitMajor": "1", "gitMinor": KUBERNETES_VERSION.split(".")[1]}


class Go:
    """Go's program, and what is run by it."""

    def __init__(self, environments):
        self.program = tools.installed_go()
        if self.program is None:
            home = tools.prepared(environments, "go", tools.GO_PACKAGE, lambda home: tools.new_environment(home, tools.GO_PACKAGE))
            self.program = str(home / "bin" / "go")

    def __call__(self, *arguments, directory=None, **variables):
        environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"} | variables
        # Outside of any module, unless one is meant.
        return subprocess.run([self.program, *map(str, arguments)], check=True, cwd=directory or "/", env=environment, stdout=subprocess.PIPE,
                              text=True).stdout

    def module(self, name, version):
        """The directory of a module's files, fetched if need be."""
        with tempfile.TemporaryDirectory() as scratch:
            self("mod", "init", "scratch", directory=scratch)
            self("mod", "download", f"{name}@{version}", directory=scratch)
            return pathlib.Path(self("mod", "download", "-json", f"{name}@{version}", directory=scratch).split('"Dir": "')[1].split('"')[0])


def kubernetes_module(go, environments):
    """The directory of a module of ours from which Kubernetes' programs can be built."""
    def write(home):
        source = go.module("k8s.io/kubernetes", KUBERNETES_VERSION)
        replaced = STAGING.findall((source / "go.mod").read_text(encoding="utf-8"))
        lines = ["module kubernetes-programs", "go 1.24.0", "godebug default=go1.24", f"require k8s.io/kubernetes {KUBERNETES_VERSION}",
                 *(f"replace {name} => {name} {LIBRARIES_VERSION}" for name in replaced)]
        (home / "go.mod").write_text("\n".join(lines) + "\n", encoding="utf-8")
        imports = "\n".join(f'import _ "k8s.io/kubernetes/cmd/{name}"' for name in KUBERNETES_PROGRAMS)
        (home / "programs.go").write_text(f"//go:build tools\n\npackage programs\n\n{imports}\n", encoding="utf-8")
        go("mod", "tidy", directory=home)
    return tools.prepared(environments, "kubernetes-module", KUBERNETES_VERSION + " ".join(KUBERNETES_PROGRAMS), write)


def kubernetes_program(name, go, environments, processors):
    def build(home):
        variables = " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in VARIABLES.items())
        go("build", "-p", processors, "-trimpath", "-ldflags", f"-s -w {variables}", "-o", home / name, f"k8s.io/kubernetes/cmd/{name}",
           directory=kubernetes_module(go, environments))
    return tools.prepared(environments, name, str(VARIABLES), build) / name


def coredns(go, environments, processors):
    def build(home):
        go("install", "-p", processors, "-trimpath", "-ldflags", "-s -w", f"github.com/coredns/coredns@{COREDNS_VERSION}", GOBIN=str(home))
    return tools.prepared(environments, "coredns", COREDNS_VERSION, build) / "coredns"


def definitions(environments):
    """A directory of CustomResourceDefinitions for each of DEFINITIONS, named as there."""
    def copy(home):
        go = Go(environments)
        for name, (module, version, directory) in DEFINITIONS.items():
            shutil.copytree(go.module(module, version) / directory, home / name)
    return tools.prepared(environments, "definitions", str(DEFINITIONS), copy)


def built(environments, names, processors=2):
    """{name: the program's path} of each, built if it is not there."""
    go = Go(environments)
    paths = {}
    for name in names:
        if name == "helm":
            paths[name] = tools.helm(environments)
        elif name == "coredns":
            paths[name] = coredns(go, environments, processors)
        else:
            paths[name] = kubernetes_program(name, go, environments, processors)
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=pathlib.Path, required=True, help="where what is built is kept")
    parser.add_argument("--processors", type=int, default=2, help="how many compilers at once")
    options = parser.parse_args()
    for name, path in built(options.environments, NODE_PROGRAMS, options.processors).items():
        print(f"{name} {path}")
    print(f"definitions {definitions(options.environments)}")


if __name__ == "__main__":
    main()
