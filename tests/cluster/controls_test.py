"""What node_test.py sees of Postern is owed to what it is looked at for: each of these takes one thing away, and then it is otherwise. Without them
those tests might pass whatever the chart says."""
import contextlib
import json
import pathlib
import time

import pytest

import chart
import nodes
from release import is_ready
from started import Trouble, await_that, run
from under_load import through_a_cut

SOURCE = pathlib.Path(__file__).with_name("channel_control.c")
PLACE = "/controls"
# Until a validator that came should long have had a call.
PATIENCE_SECONDS = 15


@pytest.fixture(scope="module")
def control_library(postern, directory):
    """channel_control.c, as a ConfigMap for pods."""
    library = directory / "channel_control.so"
    run("gcc", "-std=c11", "-O2", "-shared", "-fPIC", "-o", library, SOURCE)
    postern.kubectl("create", "configmap", "channel-control", f"--from-file={library}")
    return library.name


@contextlib.contextmanager
def gateways_without(postern, library, argument):
    """Gateways whose channels lack that argument."""
    postern.upgrade({"gateway": {
        "extraEnv": [{"name": "LD_PRELOAD", "value": f"{PLACE}/{library}"}, {"name": "DROPPED_CHANNEL_ARGUMENT", "value": argument}],
        "extraVolumes": [{"name": "controls", "configMap": {"name": "channel-control"}}],
        "extraVolumeMounts": [{"name": "controls", "mountPath": PLACE, "readOnly": True}]}})
    postern.await_gone("gateway", 2)
    try:
        yield
    finally:
        postern.upgrade({"gateway": {"extraEnv": [], "extraVolumes": [], "extraVolumeMounts": []}})


@pytest.fixture(scope="module")
def without_round_robin(postern, control_library):
    """Its gateways have pick_first, which is gRPC's own choice."""
    with gateways_without(postern, control_library, "grpc.lb_policy_name"):
        yield postern


def nodes_of(postern, tier):
    """{node: how many pods}."""
    placed = [pod["spec"]["nodeName"] for pod in postern.pods(tier)]
    return {name: placed.count(name) for name in sorted(set(placed))}


def test_a_hard_spread_that_counts_drained_nodes_blocks_a_drain_and_the_chart_s_does_not(cluster, postern):
    hard = {"replicas": 4, "topologySpread": {"whenUnsatisfiable": "DoNotSchedule", "topologyKeys": ["kubernetes.io/hostname"]}}
    postern.upgrade({"validator": hard})
    postern.await_gone("validator", 4)
    written = postern.api_server.get(postern.deployment("validator"), "--namespace", chart.NAMESPACE)["spec"]["template"]["spec"]
    try:
        assert nodes_of(postern, "validator") == {node.name: 2 for node in cluster.all}
        with postern.drained(nodes.OF_FAULTS, 120):
            pass
        postern.kubectl("rollout", "restart", postern.deployment("validator"))
        postern.await_rollout("validator")
        postern.await_gone("validator", 4)
        assert nodes_of(postern, "validator") == {node.name: 2 for node in cluster.all}
        constraints = [{key: value for key, value in one.items() if key != "nodeTaintsPolicy"} for one in written["topologySpreadConstraints"]]
        postern.kubectl("patch", postern.deployment("validator"), "--type=merge", "--patch",
                        json.dumps({"spec": {"template": {"spec": {"topologySpreadConstraints": constraints}}}}))
        postern.await_rollout("validator")
        postern.await_gone("validator", 4)
        with pytest.raises(Trouble, match="disruption budget|drain did not complete|timeout"), postern.drained(nodes.OF_FAULTS, 45):
            pass
    finally:
        postern.upgrade({"validator": {"replicas": 2, "topologySpread": {
            "whenUnsatisfiable": "ScheduleAnyway", "topologyKeys": ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]}}})


def test_without_keepalive_a_node_that_is_cut_off_costs_more(cluster, postern, control_library, load):
    with gateways_without(postern, control_library, "grpc.keepalive_time_ms"):
        codes = through_a_cut(postern, cluster.of(nodes.OF_FAULTS), load)
    assert codes[200] < 0.9 * sum(codes.values())


def calls_of_one_that_comes(postern, load):
    """How many verdicts a third validator gave within PATIENCE_SECONDS of its being ready; there are two again afterwards."""
    here = {pod["metadata"]["name"] for pod in postern.pods("validator")}
    under_way = load(60)
    postern.kubectl("scale", postern.deployment("validator"), "--replicas=3")
    try:
        came = await_that("a third validator", lambda: next(
            (pod for pod in postern.pods("validator") if is_ready(pod) and pod["metadata"]["name"] not in here), None), 60)["metadata"]["name"]
        time.sleep(PATIENCE_SECONDS)
        assert under_way.leaves.going_on()
        counted = postern.verdicts()
        print(f"verdicts of all: {sorted(counted.values())}; of the one that came {PATIENCE_SECONDS} s ago: {counted[came]:.0f}", flush=True)
    finally:
        under_way.end(goes_on=False)
        postern.kubectl("scale", postern.deployment("validator"), "--replicas=2")
        postern.await_gone("validator", 2)
    return counted[came]


def test_without_round_robin_shares_are_not_equal(without_round_robin, load):
    """Two gateways, each with one validator at a time: of three at least one has nothing, until connections age."""
    postern = without_round_robin
    postern.kubectl("scale", postern.deployment("validator"), "--replicas=3")
    postern.await_rollout("validator")
    under_way = load(30)
    before = postern.verdicts()
    time.sleep(PATIENCE_SECONDS)
    shares = sorted(count - before[pod] for pod, count in postern.verdicts().items())
    under_way.end()
    print(f"verdicts by validator, without round_robin: {shares}", flush=True)
    postern.kubectl("scale", postern.deployment("validator"), "--replicas=2")
    postern.await_gone("validator", 2)
    assert min(shares) < 0.8 * max(shares)


def test_without_round_robin_and_an_age_of_connections_a_validator_that_comes_gets_no_calls(without_round_robin, load):
    postern = without_round_robin
    postern.upgrade({"validator": {"config": {"max_connection_age": "1h"}}})
    try:
        postern.await_gone("validator", 2)
        assert calls_of_one_that_comes(postern, load) == 0
    finally:
        postern.upgrade({"validator": {"config": {"max_connection_age": "4s"}}})
