"""Postern on two real nodes, while leaves come in: what an operator does to it, and what happens to it. The tests run in this order, on one
release; each leaves it ready."""
import json
import os
import pathlib
import re
import signal
import time

import pytest

import chart
import nodes
from release import NAMESPACE, Release, is_ready, restarts
from started import await_that
from under_load import through_a_cut

# /proc/PID/status of a process that may do nothing but what every process may.
LEAST_RIGHTS = {"Uid": "10001", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1",
                "Seccomp": "2"}


def rights_of(process):
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines())
    return {name: status[name].split()[0] for name in LEAST_RIGHTS}


def test_helm_has_installed_it_and_pods_are_on_both_nodes(postern):
    """Though these nodes are in no zone."""
    for tier in chart.TIERS:
        pods = postern.pods(tier)
        assert all(is_ready(pod) for pod in pods)
        assert {pod["spec"]["nodeName"] for pod in pods} == {"node-1", "node-2"}, tier


@pytest.mark.parametrize("tier", chart.TIERS)
def test_its_processes_may_do_no_more_than_they_need(cluster, postern, tier):
    for pod in postern.pods(tier):
        process = cluster.process_of(pod)
        assert rights_of(process) == LEAST_RIGHTS
        mounts = pathlib.Path(f"/proc/{process}/mountinfo").read_text(encoding="utf-8").splitlines()
        root = next(line.split() for line in mounts if line.split()[4] == "/")
        assert "ro" in root[5].split(",")
        secrets = {"gateway": {"signing-key", "tls"}, "validator": {"tls"}, "store": {"database", "tls"}}[tier]
        place = pathlib.Path("/proc", str(process), "root", "etc/postern")  # as the process sees it
        assert {path.name for path in place.iterdir()} == secrets | {"configuration"}
        assert {path.stat().st_mode & 0o777 for name in secrets for path in (place / name).iterdir() if path.is_file()} == {0o440}


def test_a_process_for_which_nothing_is_asked_has_more_rights(cluster):
    """The control of the test before."""
    server = cluster.api_server
    server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "anything"}})
    server.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "plain", "namespace": "anything"}, "spec": {
        "automountServiceAccountToken": False, "containers": [{"name": "plain", "image": "localhost/pause:t", "imagePullPolicy": "Never",
                                                               "securityContext": {"runAsUser": 0}}]}})
    server.kubectl("wait", "--namespace", "anything", "--for=condition=Ready", "pod/plain", "--timeout=60s")
    rights = rights_of(cluster.process_of(server.get("pod", "plain", "--namespace", "anything")))
    server.kubectl("delete", "namespace", "anything")
    print(f"without: {rights}", flush=True)
    assert all(rights[name] != least for name, least in LEAST_RIGHTS.items() if name != "CapBnd")


def test_helm_test_plays_a_leave(postern, remote):
    room, user = postern.seed(remote, 1, 1, "helm-test")[0]
    postern.kubectl("create", "secret", "generic", "the-played-key", f"--from-file=signing.key={remote.key}")
    postern.upgrade({"tests": {"leave": {"enabled": True, "user": user, "room": room, "existingSecret": "the-played-key"}}})
    said = postern.helm("test", postern.name, "--timeout=120s")
    assert re.search(r"Phase:\s+Succeeded", said), said


def test_a_configuration_that_a_service_refuses_changes_nothing(postern):
    before = {tier: postern.api_server.get(postern.deployment(tier), "--namespace", NAMESPACE)["spec"] for tier in chart.TIERS}
    bad = postern.file("bad.json", json.dumps({"gateway": {"config": {"notaries": ["nobody"]}}}))
    done = postern.api_server.helm_done("upgrade", postern.name, chart.CHART, "--namespace", NAMESPACE, "-f", postern.directory / "values.json",
                                        "-f", bad, "--wait", "--timeout=120s")
    assert done.returncode != 0
    assert "pre-upgrade" in done.stderr
    assert {tier: postern.api_server.get(postern.deployment(tier), "--namespace", NAMESPACE)["spec"] for tier in chart.TIERS} == before


def test_validators_get_equal_shares_and_one_that_comes_gets_calls_within_5_s(postern, load):
    under_way = load(60)
    postern.kubectl("scale", postern.deployment("validator"), "--replicas=3")
    here = {pod["metadata"]["name"] for pod in postern.pods("validator") if is_ready(pod)}
    came = await_that("a third validator", lambda: next(
        (pod for pod in postern.pods("validator") if is_ready(pod) and pod["metadata"]["name"] not in here), None), 60)["metadata"]["name"]
    ready = time.monotonic()
    await_that("a call to the third validator", lambda: postern.verdicts().get(came, 0) > 0, 30)
    first = time.monotonic() - ready
    before = postern.verdicts()
    time.sleep(15)  # a while over which shares are counted
    shares = {pod: count - before[pod] for pod, count in postern.verdicts().items()}
    codes = under_way.end()
    print(f"verdicts by validator: {sorted(shares.values())}; the one that came had its first {first:.1f} s after it was ready", flush=True)
    assert set(codes) == {200}
    assert first < 5
    assert len(shares) == 3
    assert min(shares.values()) > 0.8 * max(shares.values())


def test_scaling_down_under_load_answers_nothing_but_200(postern, load):
    for tier in ("gateway", "store"):
        postern.kubectl("scale", postern.deployment(tier), "--replicas=3")
    postern.await_rollout("gateway", "store")
    under_way = load(75)
    for tier in chart.TIERS:
        postern.kubectl("scale", postern.deployment(tier), "--replicas=2")
    for tier in chart.TIERS:
        postern.await_gone(tier, 2)
    assert set(under_way.end()) == {200}


def test_a_rolling_restart_under_load_answers_nothing_but_200(postern, load):
    under_way = load(150)
    began = time.monotonic()
    for tier in chart.TIERS:
        postern.kubectl("rollout", "restart", postern.deployment(tier))
    postern.await_rollout(*chart.TIERS)
    print(f"all tiers were restarted in {time.monotonic() - began:.0f} s", flush=True)
    for tier in chart.TIERS:
        postern.await_gone(tier, 2)
    assert set(under_way.end()) == {200}


def test_a_drain_under_load_answers_nothing_but_200(postern, load):
    under_way = load(150)
    with postern.drained(nodes.OF_FAULTS):
        postern.await_rollout(*chart.TIERS)
        assert {pod["spec"]["nodeName"] for tier in chart.TIERS for pod in postern.pods(tier)} == {"node-1"}
    codes = under_way.end()
    postern.spread()
    assert set(codes) == {200}


def test_a_second_eviction_is_refused_with_429(postern):
    def evict(pod):
        name = pod["metadata"]["name"]
        return postern.api_server.kubectl_done(
            "create", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction", "-f", "-",
            given=json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}}))
    first, second = postern.pods("validator")
    allowed, refused = evict(first), evict(second)
    print(f"first: {allowed.stdout.strip()[-60:]}; second: {refused.stderr.strip()}", flush=True)
    assert allowed.returncode == 0, allowed.stderr
    assert refused.returncode != 0
    assert "TooManyRequests" in refused.stderr or "disruption budget" in refused.stderr
    postern.await_rollout("validator")
    postern.await_gone("validator", 2)


@pytest.mark.parametrize("tier", chart.TIERS)
def test_a_replica_that_hangs_is_unready_in_seconds_and_then_restarted(cluster, postern, load, tier):
    under_way = load(75)
    # On the node of faults if one is there: after a drain the scheduler may have both on the other.
    pod = min(postern.pods(tier), key=lambda pod: pod["spec"]["nodeName"] != nodes.OF_FAULTS)
    name, had = pod["metadata"]["name"], restarts(pod)
    os.kill(cluster.process_of(pod), signal.SIGSTOP)
    stopped = time.monotonic()
    await_that("it is unready", lambda: not is_ready(postern.pod(name)), 30)
    unready = time.monotonic() - stopped
    await_that("it is restarted and ready", lambda: restarts(postern.pod(name)) == had + 1 and is_ready(postern.pod(name)), 90)
    print(f"{tier}: unready after {unready:.1f} s, restarted and ready after {time.monotonic() - stopped:.0f} s", flush=True)
    codes = under_way.end(goes_on=False, in_doubt=True)
    assert unready < 15
    assert codes[200] > 0.8 * sum(codes.values())


def test_without_its_database_it_is_unready_and_never_restarted(postern, database, remote):
    had = {pod["metadata"]["name"]: restarts(pod) for tier in chart.TIERS for pod in postern.pods(tier)}
    database.stop()
    stopped = time.monotonic()
    try:
        await_that("stores are unready", lambda: not any(is_ready(pod) for pod in postern.pods("store")), 60)
        print(f"stores were unready after {time.monotonic() - stopped:.1f} s", flush=True)
        time.sleep(60)  # twice as long as liveness would take to restart
        assert all(is_ready(pod) for pod in postern.pods("validator"))
    finally:
        database.start()
    began = time.monotonic()
    await_that("all are ready again", lambda: all(is_ready(pod) for tier in chart.TIERS for pod in postern.pods(tier)), 90)
    print(f"all were ready {time.monotonic() - began:.1f} s after PostgreSQL was", flush=True)
    assert {pod["metadata"]["name"]: restarts(pod) for tier in chart.TIERS for pod in postern.pods(tier)} == had
    postern.seed(remote, 1, 1, "after")


def test_four_stores_that_start_at_once_make_the_tables_once(cluster, database, bin_dir, tmp_path):
    database.rows("create database together")
    second = Release("together", cluster.api_server, database, tmp_path, bin_dir, "together")
    seconds = second.upgrade({"store": {"replicas": 4}, "gateway": {"replicas": 1}, "validator": {"replicas": 1}})
    pods = second.pods("store")
    print(f"four stores were ready after {seconds:.0f} s", flush=True)
    assert [restarts(pod) for pod in pods] == [0, 0, 0, 0]
    assert all(is_ready(pod) for pod in pods)
    second.uninstall()


def test_a_node_that_is_cut_off_costs_little(cluster, postern, load):
    codes = through_a_cut(postern, cluster.of(nodes.OF_FAULTS), load)
    assert set(codes) <= {200, 503}
    assert codes[200] > 0.9 * sum(codes.values())
