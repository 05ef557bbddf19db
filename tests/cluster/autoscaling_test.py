"""The chart's HorizontalPodAutoscaler, told what pods use, and upgrades of a release that it has scaled."""
import json
import time

import pytest

import chart
from release import NAMESPACE, is_ready
from resource_metrics import ResourceMetrics
from started import await_that

# A validator requests 150 millicores, of which 70 % are wanted: these are far below, as wanted, and far above.
IDLE, WANTED, BUSY = 10, 105, 300
FEWEST, MOST = 2, 4
# As in the chart, but for the five minutes that it waits before it takes one away.
BEHAVIOR = {"scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
            "scaleDown": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 5}]}}


@pytest.fixture(scope="module")
def usage(directory, cluster):
    metrics = ResourceMetrics(directory / "resource-metrics", cluster.api_server)
    metrics.millicores = WANTED
    yield metrics
    metrics.end()


@pytest.fixture(scope="module")
def autoscaled(postern, usage):  # pylint: disable=unused-argument
    """Validators have an autoscaler, until the end of these tests."""
    postern.upgrade({"validator": {"autoscaling": {"enabled": True, "minReplicas": FEWEST, "maxReplicas": MOST, "behavior": BEHAVIOR}}})
    yield postern
    postern.upgrade({"validator": {"autoscaling": {"enabled": False}}})
    postern.await_gone("validator", 2)


def deployed(postern):
    return postern.api_server.get(postern.deployment("validator"), "--namespace", NAMESPACE)


def scaler_says(postern):
    """{condition: whether it holds}."""
    scaler = postern.api_server.get("hpa", f"{postern.fullname}-validator", "--namespace", NAMESPACE)
    return {condition["type"]: condition["status"] for condition in scaler["status"].get("conditions", [])}


def await_count(postern, count):
    began = time.monotonic()
    await_that(f"{count} validators are ready", lambda: [is_ready(pod) for pod in postern.pods("validator")] == count * [True], 120)
    return time.monotonic() - began


def test_a_tier_that_is_busy_grows_to_its_most(autoscaled, usage):
    await_that("the autoscaler has what it goes by", lambda: scaler_says(autoscaled).get("ScalingActive") == "True", 60)
    assert deployed(autoscaled)["spec"]["replicas"] == FEWEST
    usage.millicores = BUSY
    print(f"{MOST} validators {await_count(autoscaled, MOST):.0f} s after they were busy", flush=True)
    usage.millicores = WANTED


def test_an_upgrade_keeps_the_number_that_the_autoscaler_has_set(autoscaled):
    before = deployed(autoscaled)
    autoscaled.upgrade({"commonLabels": {"team": "rooms"}})
    after = deployed(autoscaled)
    assert after["metadata"]["labels"]["team"] == "rooms"
    assert after["spec"]["replicas"] == MOST
    # Nor was it another for a moment: that would have been a generation of its own.
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_what_is_rendered_without_the_cluster_does_not_keep_it(autoscaled):
    """The control of the test before: without `lookup` the number is the fewest, and the autoscaler leaves it there."""
    values = autoscaled.file("values.json", json.dumps(autoscaled.values))
    rendered = chart.Manifests(autoscaled.helm("template", autoscaled.name, chart.CHART, "-f", values, "--kube-version", chart.KUBERNETES))
    without = next(document for document in rendered.of_kind("Deployment") if chart.component_of(document) == "validator")
    assert without["spec"]["replicas"] == FEWEST
    before = deployed(autoscaled)
    autoscaled.kubectl("patch", autoscaled.deployment("validator"), "--patch", json.dumps({"spec": {"replicas": without["spec"]["replicas"]}}))
    assert deployed(autoscaled)["metadata"]["generation"] > before["metadata"]["generation"]
    autoscaled.await_gone("validator", FEWEST)


def test_a_tier_that_is_idle_shrinks_to_its_fewest(autoscaled, usage):
    usage.millicores = BUSY
    await_count(autoscaled, MOST)
    usage.millicores = IDLE
    print(f"{FEWEST} validators {await_count(autoscaled, FEWEST):.0f} s after they were idle", flush=True)
    usage.millicores = WANTED
    assert deployed(autoscaled)["spec"]["replicas"] == FEWEST
