"""What a real API server says of the chart: of each example, and of what Helm does over it."""
import contextlib
import json

import pytest
import yaml

import chart

RELEASE = ["r", chart.CHART, "--namespace", chart.NAMESPACE]


def values_file(name):
    return chart.CHART / "ci" / f"{name}-values.yaml"


@pytest.fixture(params=chart.EXAMPLES)
def example(request):
    """Each of the chart's examples, by name."""
    return request.param


def rendered(server, name):
    done = server.helm_done("template", *RELEASE, "--kube-version", chart.KUBERNETES, "-f", values_file(name))
    assert done.returncode == 0, done.stderr
    return done.stdout


def taken(server, text):
    """What the API server says of what it would be given."""
    return server.kubectl_done("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=text)


@contextlib.contextmanager
def accounts_in_place(server, text):
    """Of a pod whose ServiceAccount is not there for good, the server says nothing but that."""
    accounts = json.dumps({"apiVersion": "v1", "kind": "List", "items": chart.Manifests(text).of_kind("ServiceAccount")})
    server.kubectl("apply", "-f", "-", given=accounts)
    try:
        yield
    finally:
        server.kubectl("delete", "-f", "-", given=accounts)


def warnings_of(done):
    return [line for line in done.stderr.splitlines() if "warning" in line.lower() or "would violate" in line.lower()]


def test_helm_would_install_it(api_server, example):
    done = api_server.helm_done("upgrade", "--install", *RELEASE, "-f", values_file(example), "--dry-run=server")
    assert done.returncode == 0, done.stderr
    assert warnings_of(done) == []


def test_the_server_takes_every_object_strictly_and_without_a_warning(api_server, example):
    text = rendered(api_server, example)
    with accounts_in_place(api_server, text):
        done = taken(api_server, text)
    assert done.returncode == 0, done.stderr
    assert warnings_of(done) == []
    assert len(done.stdout.splitlines()) == len(chart.Manifests(text).all)


# name, kind, what is done to the object of it, what the server then says
SPOILT = [
    ("an unknown field", "Deployment", lambda spec: spec.update(replica=3), 'unknown field "spec.replica"'),
    ("an unknown field of another project's object", "ServiceMonitor", lambda spec: spec.update(endpoint=[]), 'unknown field "spec.endpoint"'),
    ("a certificate for nothing", "Certificate", lambda spec: spec.update(usages=["for all"]), "Unsupported value"),
    ("a route with no such filter", "HTTPRoute", lambda spec: spec["rules"][0].update(filters=[{"type": "None"}]), "Unsupported value"),
    ("a pod that is not restricted", "Deployment", lambda spec: spec["template"]["spec"].update(hostNetwork=True), "would violate PodSecurity"),
    ("a container with privileges", "Deployment",
     lambda spec: spec["template"]["spec"]["containers"][0]["securityContext"].update(allowPrivilegeEscalation=True), "would violate PodSecurity"),
]


@pytest.mark.parametrize("kind,spoil,said", [pytest.param(*rest, id=name) for name, *rest in SPOILT])
def test_the_server_would_say_if_an_object_were_wrong(api_server, kind, spoil, said):
    document = chart.Manifests(rendered(api_server, "large")).of_kind(kind)[0]
    spoil(document["spec"])
    assert said in taken(api_server, json.dumps(document)).stderr


@pytest.fixture
def installed(api_server):
    """The large example, for good; nothing but its objects: nobody is there to run a hook."""
    helm_done(api_server, "install", *RELEASE, "-f", values_file("large"), "--no-hooks")
    yield api_server
    helm_done(api_server, "uninstall", "r", "--namespace", chart.NAMESPACE, "--no-hooks")


def helm_done(server, *arguments):
    done = server.helm_done(*arguments)
    assert done.returncode == 0, done.stderr
    assert warnings_of(done) == []
    return done.stdout


def deployments(server):
    return {item["metadata"]["labels"]["app.kubernetes.io/component"]: item
            for item in server.get("deployments", "--namespace", chart.NAMESPACE)["items"]}


def upgrade(server, *options):
    helm_done(server, "upgrade", *RELEASE, "-f", values_file("large"), "--no-hooks", *options)


def test_an_upgrade_to_the_same_changes_no_deployment(installed):
    before = deployments(installed)
    upgrade(installed)
    after = deployments(installed)
    assert {tier: item["metadata"]["generation"] for tier, item in after.items()} == dict.fromkeys(chart.TIERS, 1)
    assert {tier: item["spec"] for tier, item in after.items()} == {tier: item["spec"] for tier, item in before.items()}


def test_an_upgrade_that_changes_a_label_restarts_nothing(installed):
    before = deployments(installed)
    upgrade(installed, "--set", "commonLabels.team=another")
    after = deployments(installed)
    assert {item["metadata"]["labels"]["team"] for item in after.values()} == {"another"}
    assert {tier: item["spec"]["template"] for tier, item in after.items()} == {tier: item["spec"]["template"] for tier, item in before.items()}


def test_an_upgrade_of_one_tiers_settings_restarts_that_tier_alone(installed):
    before = deployments(installed)
    upgrade(installed, "--set", "store.config.connections=12")
    after = deployments(installed)
    assert {tier for tier in chart.TIERS if after[tier]["spec"]["template"] != before[tier]["spec"]["template"]} == {"store"}


@pytest.mark.parametrize("live,then", [(11, 11), (1, 3)])
def test_an_upgrade_keeps_the_number_that_an_autoscaler_has_set(installed, live, then):
    installed.kubectl("scale", "--namespace", chart.NAMESPACE, "deployment/r-postern-gateway", f"--replicas={live}")
    upgrade(installed)
    assert deployments(installed)["gateway"]["spec"]["replicas"] == then


def test_without_an_autoscaler_an_upgrade_sets_the_number_that_is_said(installed):
    installed.kubectl("scale", "--namespace", chart.NAMESPACE, "deployment/r-postern-gateway", "--replicas=11")
    upgrade(installed, "--set", "gateway.autoscaling.enabled=false,gateway.replicas=4")
    assert deployments(installed)["gateway"]["spec"]["replicas"] == 4


def test_uninstalling_leaves_nothing_behind(api_server):
    helm_done(api_server, "install", *RELEASE, "-f", values_file("large"), "--no-hooks")
    kinds = ",".join(sorted({document["kind"].lower() for document in yaml.safe_load_all(rendered(api_server, "large")) if document}))
    of_release = ["--namespace", chart.NAMESPACE, "--selector", "app.kubernetes.io/instance=r"]
    assert api_server.get(kinds, *of_release)["items"] != []
    helm_done(api_server, "uninstall", "r", "--namespace", chart.NAMESPACE, "--no-hooks")
    assert api_server.get(kinds, *of_release)["items"] == []
