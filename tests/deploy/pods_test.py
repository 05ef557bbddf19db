"""Pods: what they may do, how they are asked whether they are well, and how they end."""
import pytest

import chart

BY_TIER = pytest.mark.parametrize("tier", chart.TIERS)
ADMIN_PORTS = {"gateway": 9093, "validator": 9091, "store": 9092}


def spec_of(manifests, tier):
    return manifests.deployment(tier)["spec"]["template"]["spec"]


def container_of(manifests, tier):
    return spec_of(manifests, tier)["containers"][0]


def test_every_pod_runs_as_a_numeric_user_that_is_not_root_under_the_default_seccomp_profile(of_example):
    for _, _, spec in of_example.pods():
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert all(security[key] > 0 for key in ("runAsUser", "runAsGroup", "fsGroup"))
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}


def test_no_container_may_gain_anything_or_write_to_its_root(of_example):
    for _, _, spec in of_example.pods():
        for container in chart.containers_of(spec):
            assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                    "privileged": False, "capabilities": {"drop": ["ALL"]}}


def test_no_pod_shares_anything_of_its_node(of_example):
    for _, _, spec in of_example.pods():
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert not [volume for volume in spec["volumes"] if "hostPath" in volume]


def test_no_pod_has_a_token_or_variables_of_other_services(of_example):
    for _, _, spec in of_example.pods():
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
    assert all(account["automountServiceAccountToken"] is False for account in of_example.of_kind("ServiceAccount"))


def test_every_kind_of_pod_has_a_service_account_of_its_own(of_example):
    used = [spec["serviceAccountName"] for _, _, spec in of_example.pods()]
    made = [account["metadata"]["name"] for account in of_example.of_kind("ServiceAccount")]
    assert sorted(used) == sorted(made)
    assert len(set(used)) == len(used)


@BY_TIER
def test_a_service_can_write_to_tmp_alone(render, tier):
    spec = spec_of(render(), tier)
    writable = [mount for mount in spec["containers"][0]["volumeMounts"] if not mount.get("readOnly")]
    assert writable == [{"name": "tmp", "mountPath": "/tmp"}]
    assert "emptyDir" in next(volume for volume in spec["volumes"] if volume["name"] == "tmp")


@BY_TIER
def test_probes_ask_the_admin_port_whatever_encrypts_the_services_calls(render, tier):
    for mtls in (True, False):
        container = container_of(render({"mtls": {"enabled": mtls, "certManager": {"enabled": mtls}}}), tier)
        admin = [port["containerPort"] for port in container["ports"] if port["name"] == "admin"]
        assert admin == [ADMIN_PORTS[tier]]
        paths = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
        assert paths == {"startup": {"path": "/livez", "port": "admin"}, "liveness": {"path": "/livez", "port": "admin"},
                         "readiness": {"path": "/readyz", "port": "admin"}}


@BY_TIER
def test_each_probe_of_each_tier_can_be_tuned(render, tier):
    for probe in ("startup", "liveness", "readiness"):
        tuned = render({tier: {"probes": {probe: {"periodSeconds": 7, "initialDelaySeconds": 3}}}})
        found = container_of(tuned, tier)[f"{probe}Probe"]
        assert (found["periodSeconds"], found["initialDelaySeconds"]) == (7, 3)
        other = next(name for name in chart.TIERS if name != tier)
        assert container_of(tuned, other)[f"{probe}Probe"].get("initialDelaySeconds") is None


@BY_TIER
def test_a_process_that_hangs_is_not_waited_for_as_long_as_one_that_ends(render, tier):
    spec = spec_of(render(), tier)
    container = spec["containers"][0]
    for probe in ("startup", "liveness"):
        assert container[f"{probe}Probe"]["terminationGracePeriodSeconds"] == 5
    assert "terminationGracePeriodSeconds" not in container["readinessProbe"]
    assert spec["terminationGracePeriodSeconds"] > 5
    tuned = container_of(render({"pods": {"probes": {"liveness": {"terminationGracePeriodSeconds": 20}}}}), tier)
    assert tuned["livenessProbe"]["terminationGracePeriodSeconds"] == 20


@BY_TIER
def test_the_ports_that_are_declared_are_those_that_the_service_listens_on(render, tier):
    for tls in ("", "some-tls"):
        manifests = render({"gateway": {"tls": {"existingSecret": tls}}})
        declared = {port["name"]: port["containerPort"] for port in container_of(manifests, tier)["ports"]}
        lines = dict(line.split(": ", 1) for line in manifests.configuration(tier).splitlines() if line.startswith(("listen", "admin_listen")))
        listening = {key: int(value.strip("'").rpartition(":")[2]) for key, value in lines.items()}
        assert declared.pop("admin") == listening["admin_listen"]
        assert list(declared.values()) == [listening["listen"]]


@BY_TIER
def test_a_pod_goes_on_serving_before_it_is_asked_to_end(render, tier):
    container = container_of(render({"pods": {"preStopSeconds": 12}}), tier)
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 12}}}
    assert "lifecycle" not in container_of(render({tier: {"preStopSeconds": 0}}), tier)


GRACE = [
    # values of the tier, tier, seconds that must fit
    ({}, "validator", 15 + 20),
    ({}, "store", 15 + 20),
    ({}, "gateway", 15 + 20 + 60),
    ({"preStopSeconds": 30, "shutdownGraceSeconds": 60}, "store", 30 + 60),
    ({"config": {"request_timeout": "45s"}}, "gateway", 15 + 45 + 60),
    ({"config": {"sender": {"request_timeout": "1m30s"}}}, "gateway", 15 + 20 + 90),
    ({"config": {"sender": {"request_timeout": "1500ms"}}}, "gateway", 15 + 20 + 2),
]


@pytest.mark.parametrize("values,tier,needed", GRACE)
def test_the_grace_period_is_longer_than_all_that_must_fit_into_it(render, values, tier, needed):
    assert spec_of(render({tier: values}), tier)["terminationGracePeriodSeconds"] == needed + 10


@pytest.mark.parametrize("values,tier,needed", GRACE)
def test_a_grace_period_that_is_too_short_is_refused(render, values, tier, needed):
    enough = render({tier: values | {"terminationGracePeriodSeconds": needed + 1}})
    assert spec_of(enough, tier)["terminationGracePeriodSeconds"] == needed + 1
    with pytest.raises(chart.Refused, match=f"{tier}.terminationGracePeriodSeconds is {needed}: .* take {needed} s"):
        render({tier: values | {"terminationGracePeriodSeconds": needed}})


@BY_TIER
def test_the_service_is_told_the_grace_that_was_reckoned_with(render, tier):
    assert "shutdown_grace: 33s" in render({tier: {"shutdownGraceSeconds": 33}}).configuration(tier)


@BY_TIER
def test_pods_spread_over_nodes_and_zones_by_revision(render, tier):
    constraints = spec_of(render(), tier)["topologySpreadConstraints"]
    assert [constraint["topologyKey"] for constraint in constraints] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    for constraint in constraints:
        assert constraint["matchLabelKeys"] == ["pod-template-hash"]
        assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
        assert "nodeTaintsPolicy" not in constraint
        assert constraint["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == tier


@BY_TIER
def test_pods_spread_over_nodes_alone_where_there_are_no_zones(render, tier):
    manifests = render({"pods": {"topologySpread": {"topologyKeys": ["kubernetes.io/hostname"]}}})
    assert [constraint["topologyKey"] for constraint in spec_of(manifests, tier)["topologySpreadConstraints"]] == ["kubernetes.io/hostname"]


def avoided(render, values, tier):
    """Which pods a pod of `tier` would rather not share a node with, as [(weight, term)]."""
    affinity = spec_of(render(values), tier).get("affinity", {})
    return [(preference["weight"], preference["podAffinityTerm"]) for preference in
            affinity.get("podAntiAffinity", {}).get("preferredDuringSchedulingIgnoredDuringExecution", [])]


@BY_TIER
def test_pods_of_a_tier_and_revision_prefer_nodes_of_their_own_whatever_labels_nodes_have(render, tier):
    [(weight, term)] = avoided(render, {}, tier)
    assert weight == 100
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["matchLabelKeys"] == ["pod-template-hash"]
    assert term["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == tier
    assert [weight for weight, _ in avoided(render, {tier: {"antiAffinity": {"weight": 7}}}, tier)] == [7]
    assert avoided(render, {tier: {"antiAffinity": {"enabled": False}}}, tier) == []


@BY_TIER
def test_an_operator_s_own_affinity_stays_beside_that_preference(render, tier):
    theirs = {"weight": 3, "podAffinityTerm": {"topologyKey": "rack", "labelSelector": {"matchLabels": {"a": "b"}}}}
    required = [{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"noisy": "yes"}}}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []},
                "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [theirs],
                                    "requiredDuringSchedulingIgnoredDuringExecution": required}}
    assert [weight for weight, _ in avoided(render, {"pods": {"affinity": affinity}}, tier)] == [3, 100]
    spec = spec_of(render({"pods": {"affinity": affinity}}), tier)
    assert spec["affinity"]["nodeAffinity"] == affinity["nodeAffinity"]
    assert spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] == required


@BY_TIER
def test_a_hard_spread_leaves_out_nodes_that_are_drained(render, tier):
    manifests = render({tier: {"topologySpread": {"whenUnsatisfiable": "DoNotSchedule"}}})
    constraints = spec_of(manifests, tier)["topologySpreadConstraints"]
    assert {(constraint["whenUnsatisfiable"], constraint["nodeTaintsPolicy"]) for constraint in constraints} == {("DoNotSchedule", "Honor")}


def test_every_container_requests_cpu_and_memory_and_limits_memory_alone(of_example):
    for _, _, spec in of_example.pods():
        for container in chart.containers_of(spec):
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert container["resources"]["limits"].keys() == {"memory"}


@BY_TIER
def test_what_an_operator_adds_to_pods_is_there(render, tier):
    added = {
        "nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "t", "operator": "Exists"}], "priorityClassName": "high",
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "extraVolumes": [{"name": "more", "emptyDir": {}}], "extraEnv": [{"name": "POSTERN_LOG_LEVEL", "value": "debug"}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    }
    spec = spec_of(render({"pods": added | {"antiAffinity": {"enabled": False}}}), tier)
    for key in ("nodeSelector", "tolerations", "priorityClassName", "affinity"):
        assert spec[key] == added[key]
    assert added["extraVolumes"][0] in spec["volumes"]
    assert added["extraVolumeMounts"][0] in spec["containers"][0]["volumeMounts"]
    assert spec["containers"][0]["env"] == added["extraEnv"]


@BY_TIER
def test_annotations_and_labels_of_pods_are_there(render, tier):
    manifests = render({"pods": {"annotations": {"a": "1"}, "labels": {"l": "2"}}, tier: {"serviceAccount": {"annotations": {"s": "3"}}}})
    metadata = manifests.deployment(tier)["spec"]["template"]["metadata"]
    assert metadata["annotations"]["a"] == "1"
    assert metadata["labels"]["l"] == "2"
    assert manifests.get("ServiceAccount", tier)["metadata"]["annotations"] == {"s": "3"}


@BY_TIER
def test_a_tier_may_say_no_where_all_say_yes(render, tier):
    manifests = render({tier: {"topologySpread": {"enabled": False}, "antiAffinity": {"enabled": False},
                               "podDisruptionBudget": {"enabled": False}, "priorityClassName": ""},
                        "pods": {"priorityClassName": "high"}})
    assert not {"topologySpreadConstraints", "affinity"} & spec_of(manifests, tier).keys()
    assert "priorityClassName" not in spec_of(manifests, tier)
    assert manifests.get("PodDisruptionBudget", tier) is None


@BY_TIER
def test_an_image_is_found_by_registry_and_tag_or_by_digest(render, tier):
    digest = "sha256:" + "a" * 64
    for over, image in [
            ({}, f"postern-{tier}:0.1.0"),
            ({"image": {"registry": "reg.example/m/", "tag": "1.2"}}, f"reg.example/m/postern-{tier}:1.2"),
            ({"image": {"tag": "1.2"}, tier: {"image": {"digest": digest}}}, f"postern-{tier}@{digest}"),
            ({tier: {"image": {"repository": "other/name"}}}, "other/name:0.1.0")]:
        assert container_of(render(over), tier)["image"] == image


def test_every_pod_has_the_pull_secrets(render):
    for _, _, spec in render({"image": {"pullSecrets": ["one", "two"]}}).pods():
        assert spec["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
