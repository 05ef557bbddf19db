"""What restarts pods, what does not, and in which order an upgrade goes."""
import pytest

import chart

BY_TIER = pytest.mark.parametrize("tier", chart.TIERS)
KEY = "ed25519 a_Test AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"
OTHER_KEY = "ed25519 a_Other AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"


def templates(manifests):
    return {tier: manifests.deployment(tier)["spec"]["template"] for tier in chart.TIERS}


def restarted(before, after):
    """The tiers whose pods an upgrade from one to the other replaces."""
    return {tier for tier in chart.TIERS if templates(before)[tier] != templates(after)[tier]}


@BY_TIER
def test_pods_are_replaced_one_by_one_once_the_new_one_has_been_ready(of_example, tier):
    spec = of_example.deployment(tier)["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert spec["minReadySeconds"] >= 5


@BY_TIER
def test_a_change_of_the_configuration_restarts_its_tier_alone(render, tier):
    assert restarted(render(), render({tier: {"config": {"queue_limit": 99}}})) == {tier}


def test_a_label_restarts_nothing(render):
    changed = render({"commonLabels": {"team": "a"}})
    assert restarted(render(), changed) == set()
    assert changed.deployment("store")["metadata"]["labels"]["team"] == "a"


def test_a_new_version_of_the_chart_alone_restarts_nothing(helm, render, tmp_path):
    copy = chart.copy_of_chart(tmp_path)
    file = copy / "Chart.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("\nversion: 0.1.0", "\nversion: 0.1.9"), encoding="utf-8")
    newer = chart.Manifests(helm.render_text(chart.LEAST, chart=copy))
    assert newer.deployment("store")["metadata"]["labels"]["helm.sh/chart"] == "postern-0.1.9"
    assert restarted(render(), newer) == set()


def test_a_change_of_what_the_chart_keeps_secret_restarts_who_sees_it(render):
    key, other_key = ({"signingKey": {"existingSecret": "", "inline": text}} for text in (KEY, OTHER_KEY))
    assert restarted(render(key), render(other_key)) == {"gateway"}
    uri, other_uri = ({"database": {"existingSecret": "", "uri": f"postgresql://{host}/p"}} for host in "ab")
    assert restarted(render(uri), render(other_uri)) == {"store"}


def test_scaling_restarts_nothing(render):
    assert restarted(render(), render({"store": {"replicas": 7}, "gateway": {"autoscaling": {"enabled": True}}})) == set()


def hooks(manifests):
    """[(weight, kind, annotations)] of the hooks of an upgrade, in the order in which Helm makes them."""
    found = []
    for document in manifests.all:
        annotations = document["metadata"].get("annotations", {})
        if "pre-upgrade" in annotations.get("helm.sh/hook", ""):
            found.append((int(annotations["helm.sh/hook-weight"]), document["kind"], annotations))
    return sorted(found, key=lambda hook: hook[0])


def test_a_job_checks_the_configuration_before_anything_changes(of_example):
    found = hooks(of_example)
    assert [kind for _, kind, _ in found if kind == "Job"] == ["Job"]
    assert all(annotations["helm.sh/hook"] == "pre-install,pre-upgrade" for _, _, annotations in found)
    assert all(annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded" for _, _, annotations in found)


def test_what_the_job_reads_is_there_before_it(of_example):
    weights = {kind: weight for weight, kind, _ in hooks(of_example)}
    assert weights.keys() == {"ConfigMap", "ServiceAccount", "Job"}
    assert max(weights["ConfigMap"], weights["ServiceAccount"]) < weights["Job"]
    spec = of_example.get("Job", "configuration-check")["spec"]["template"]["spec"]
    names = {volume["configMap"]["name"] for volume in spec["volumes"]}
    assert names == {of_example.get("ConfigMap", "configuration-check")["metadata"]["name"]}


@BY_TIER
def test_the_job_checks_what_the_service_will_get_with_the_service_s_own_image(of_example, tier):
    assert of_example.get("ConfigMap", "configuration-check")["data"][f"{tier}.yaml"] == of_example.configuration(tier)
    job = of_example.get("Job", "configuration-check")["spec"]["template"]["spec"]["containers"]
    checking = next(container for container in job if container["name"] == tier)
    serving = of_example.deployment(tier)["spec"]["template"]["spec"]["containers"][0]
    assert checking["image"] == serving["image"]
    assert checking["args"] == [*serving["args"], "--check-config", "--without-files"]
    assert checking.get("env") == serving.get("env")


def test_the_job_fails_at_once_and_leaves_no_pod_running(of_example):
    job = of_example.get("Job", "configuration-check")["spec"]
    assert job["backoffLimit"] == 0
    assert job["activeDeadlineSeconds"] > 0
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_without_it_there_are_no_hooks_of_an_upgrade(render):
    assert hooks(render({"configurationCheck": {"enabled": False}})) == []
