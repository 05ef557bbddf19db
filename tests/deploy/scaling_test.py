"""How many pods there are, who changes that, and how many may go at once."""
import pytest

import chart
from stub_cluster import StubCluster

BY_TIER = pytest.mark.parametrize("tier", chart.TIERS)


def autoscaled(tier, **over):
    return {tier: {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 9} | over}}


@BY_TIER
def test_without_an_autoscaler_there_are_as_many_as_is_said(render, tier):
    manifests = render({tier: {"replicas": 5}})
    assert manifests.deployment(tier)["spec"]["replicas"] == 5
    assert manifests.get("HorizontalPodAutoscaler", tier) is None


@BY_TIER
def test_an_autoscaler_goes_by_cpu_between_its_bounds(render, tier):
    scaler = render(autoscaled(tier)).get("HorizontalPodAutoscaler", tier)["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"r-postern-{tier}"}
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 9)
    assert scaler["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]


@BY_TIER
def test_it_grows_at_once_and_shrinks_slowly(render, tier):
    behavior = render(autoscaled(tier)).get("HorizontalPodAutoscaler", tier)["spec"]["behavior"]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert behavior["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]


@BY_TIER
def test_further_metrics_stand_beside_cpu_or_alone(render, tier):
    more = {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "5"}}}
    both = render(autoscaled(tier, metrics=[more])).get("HorizontalPodAutoscaler", tier)["spec"]["metrics"]
    assert [metric["type"] for metric in both] == ["Resource", "Pods"]
    alone = render(autoscaled(tier, metrics=[more], targetCPUUtilizationPercentage=0)).get("HorizontalPodAutoscaler", tier)["spec"]["metrics"]
    assert alone == [more]


@BY_TIER
def test_what_is_under_way_stands_beside_cpu_or_alone(render, tier):
    name = {"gateway": "postern_gateway_requests_under_way"}.get(tier, f"postern_{tier}_calls_under_way")
    wanted = {"type": "Pods", "pods": {"metric": {"name": name}, "target": {"type": "AverageValue", "averageValue": "24"}}}
    both = render(autoscaled(tier, targetUnderWay=24)).get("HorizontalPodAutoscaler", tier)["spec"]["metrics"]
    assert [metric["type"] for metric in both] == ["Resource", "Pods"] and both[1] == wanted
    alone = render(autoscaled(tier, targetUnderWay=24, targetCPUUtilizationPercentage=0))
    assert alone.get("HorizontalPodAutoscaler", tier)["spec"]["metrics"] == [wanted]


@BY_TIER
@pytest.mark.parametrize("live,then", [(None, 3), (0, 3), (2, 3), (7, 7)])
def test_an_upgrade_keeps_the_live_count_and_at_least_the_minimum(helm, tmp_path, tier, live, then):
    path = f"/apis/apps/v1/namespaces/{chart.NAMESPACE}/deployments/r-postern-{tier}"
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": f"r-postern-{tier}"}, "spec": {"replicas": live}}
    with StubCluster({} if live is None else {path: deployment}) as cluster:
        text = helm.render_text(chart.merged(chart.LEAST, autoscaled(tier)), "--dry-run=server", "--kube-apiserver", cluster.url,
                                environment={"HOME": str(tmp_path), "KUBECONFIG": "/nonexistent"})
    assert path in cluster.asked
    assert chart.Manifests(text).deployment(tier)["spec"]["replicas"] == then


@BY_TIER
def test_one_pod_at_a_time_may_be_evicted_and_a_sick_one_always(render, tier):
    budget = render().get("PodDisruptionBudget", tier)["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@BY_TIER
@pytest.mark.parametrize("values,there", [
    ({"replicas": 1}, False), ({"replicas": 2}, True),
    ({"replicas": 1, "autoscaling": {"enabled": True, "minReplicas": 2}}, True),
    ({"replicas": 5, "autoscaling": {"enabled": True, "minReplicas": 1}}, False),
])
def test_there_is_a_budget_where_there_is_always_more_than_one(render, tier, values, there):
    assert (render({tier: values}).get("PodDisruptionBudget", tier) is not None) is there
