"""Helm, asked for what the chart makes of values, and what it says, in the terms in which the tests speak."""
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "chart"
EXAMPLES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
KUBERNETES = "1.34"
NAMESPACE = "matrix"
RELEASE = "r"
TIERS = ("gateway", "validator", "store")

# The least that is complete: what a test adds is what it is about.
LEAST = {
    "serverName": "here.example",
    "signingKey": {"existingSecret": "the-signing-key"},
    "database": {"existingSecret": "the-database"},
    "mtls": {"certManager": {"enabled": True}},
}


def merged(base, over):
    """`base` with what `over` says, map by map."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def example(name):
    return yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text(encoding="utf-8"))


def copy_of_chart(directory):
    """Its path: for tests that change a file of the chart's."""
    return pathlib.Path(shutil.copytree(CHART, directory / "postern"))


class Refused(Exception):
    """Helm does not render it; the text says why."""


@dataclasses.dataclass(frozen=True)
class Helm:
    program: str

    def __call__(self, *arguments, environment=None):
        home = {"HELM_CONFIG_HOME": "/nonexistent", "HELM_CACHE_HOME": "/nonexistent", "HELM_DATA_HOME": "/nonexistent"}
        return subprocess.run([self.program, *map(str, arguments)], check=False, capture_output=True, text=True,
                              env=os.environ | home | (environment or {}))

    def render_text(self, values, *options, chart=CHART, environment=None):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            json.dump(values, file)
            file.flush()
            done = self("template", RELEASE, chart, "--namespace", NAMESPACE, "--kube-version", KUBERNETES, "-f", file.name, *options,
                        environment=environment)
        if done.returncode != 0:
            raise Refused(done.stderr)
        return done.stdout

    def lint(self, values_file):
        return self("lint", "--strict", "--kube-version", KUBERNETES, CHART, "-f", values_file)


@functools.lru_cache(maxsize=None)
def rendered(helm, values_as_json):
    return Manifests(helm.render_text(json.loads(values_as_json)))


def render(helm, values):
    """The Manifests of `values`; the same values are rendered once."""
    return rendered(helm, json.dumps(values, sort_keys=True))


class Manifests:
    def __init__(self, text):
        self.text = text
        self.all = [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]

    def of_kind(self, *kinds):
        return [document for document in self.all if document["kind"] in kinds]

    def get(self, kind, name):
        """The one object of that kind and name (without the release's part); None if there is none."""
        full = f"{RELEASE}-postern-{name}" if name else f"{RELEASE}-postern"
        found = [document for document in self.of_kind(kind) if document["metadata"]["name"] == full]
        assert len(found) <= 1, f"{kind} {full} is there {len(found)} times"
        return found[0] if found else None

    def deployment(self, tier):
        return self.get("Deployment", tier)

    def configuration(self, tier):
        return self.get("ConfigMap", tier)["data"][f"{tier}.yaml"]

    def pods(self):
        """[(component, metadata, spec)] of everything that becomes a pod."""
        pods = []
        for document in self.all:
            template = document if document["kind"] == "Pod" else document.get("spec", {}).get("template")
            if template and "containers" in template.get("spec", {}):
                pods.append((component_of(template), template["metadata"], template["spec"]))
        return pods


def component_of(document):
    return document["metadata"]["labels"]["app.kubernetes.io/component"]


def containers_of(pod_spec):
    return pod_spec["containers"] + pod_spec.get("initContainers", [])


def secrets_of(pod_spec):
    """The names of all Secrets that anything in a pod sees."""
    names = set()
    for volume in pod_spec.get("volumes", []):
        sources = [volume] + volume.get("projected", {}).get("sources", [])
        names |= {source["secret"].get("secretName", source["secret"].get("name")) for source in sources if "secret" in source}
    for container in containers_of(pod_spec):
        names |= {entry["secretRef"]["name"] for entry in container.get("envFrom", []) if "secretRef" in entry}
        names |= {entry["valueFrom"]["secretKeyRef"]["name"] for entry in container.get("env", [])
                  if "secretKeyRef" in entry.get("valueFrom", {})}
    return names
