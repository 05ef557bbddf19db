"""Labels, Services, routes, database, metrics, and the test: what other objects of the cluster see."""
import json

import pytest
import yaml

import chart

SELECTING = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
OF_OBJECTS = SELECTING | {"app.kubernetes.io/part-of", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"}


def test_every_object_has_the_recommended_labels(of_example):
    for document in of_example.all:
        assert OF_OBJECTS <= document["metadata"]["labels"].keys(), document["metadata"]["name"]


def selectors(manifests):
    for document in manifests.of_kind("Deployment", "PodDisruptionBudget"):
        yield document, document["spec"]["selector"]["matchLabels"]
    for document in manifests.of_kind("Service"):
        yield document, document["spec"]["selector"]
    for component, _, spec in manifests.pods():
        for constraint in spec.get("topologySpreadConstraints", []):
            yield component, constraint["labelSelector"]["matchLabels"]


def test_a_selector_holds_name_instance_and_component_and_nothing_that_changes(of_example):
    for what, labels in selectors(of_example):
        assert labels.keys() == SELECTING, what


def test_a_selector_finds_the_pods_of_its_component_alone(of_example):
    pods = of_example.pods()
    for what, labels in selectors(of_example):
        found = {component for component, metadata, _ in pods if labels.items() <= metadata["labels"].items()}
        assert len(found) == 1, what


SERVICES = [
    # name, ports, headless
    ("gateway", {"http": 8008}, False),
    ("gateway-admin", {"admin": 9093}, True),
    ("validator", {"grpc": 7101, "admin": 9091}, True),
    ("store", {"grpc": 7102, "admin": 9092}, True),
]


@pytest.mark.parametrize("name,ports,headless", SERVICES)
def test_a_service_has_the_ports_of_its_pods_by_name(render, name, ports, headless):
    manifests = render()
    service = manifests.get("Service", name)["spec"]
    assert (service.get("clusterIP") == "None") is headless
    assert {port["name"]: port["port"] for port in service["ports"]} == ports
    component = service["selector"]["app.kubernetes.io/component"]
    container = manifests.deployment(component)["spec"]["template"]["spec"]["containers"][0]
    of_container = {port["name"]: port["containerPort"] for port in container["ports"]}
    for port in service["ports"]:
        assert of_container[port["targetPort"]] == port["port"]
        assert port["appProtocol"]


def test_a_service_says_whether_its_calls_are_encrypted(render):
    def protocol(mtls):
        manifests = render({"mtls": {"enabled": mtls, "certManager": {"enabled": mtls}}})
        return manifests.get("Service", "store")["spec"]["ports"][0]["appProtocol"]
    assert (protocol(True), protocol(False)) == ("https", "kubernetes.io/h2c")


def test_gateways_find_every_pod_of_a_tier_by_the_name_of_its_headless_service(render):
    manifests = render()
    configuration = yaml.safe_load(manifests.configuration("gateway"))
    for tier, port in (("validator", 7101), ("store", 7102)):
        assert configuration[tier] == f"dns:///r-postern-{tier}.matrix.svc.cluster.local:{port}"
        assert manifests.get("Service", tier)["spec"]["clusterIP"] == "None"


def test_services_are_of_both_address_families_where_the_cluster_has_them(render):
    families = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]}
    assert {service["spec"]["ipFamilyPolicy"] for service in render().of_kind("Service")} == {"PreferDualStack"}
    for service in render(families).of_kind("Service"):
        assert (service["spec"]["ipFamilyPolicy"], service["spec"]["ipFamilies"]) == ("RequireDualStack", ["IPv6", "IPv4"])


def test_a_load_balancer_keeps_the_client_s_address(render):
    service = render({"gateway": {"service": {"type": "LoadBalancer", "port": 8448, "loadBalancerClass": "example.org/lb",
                                              "loadBalancerSourceRanges": ["203.0.113.0/24"], "annotations": {"a": "b"}},
                                  "tls": {"existingSecret": "s"}}}).get("Service", "gateway")
    assert service["metadata"]["annotations"] == {"a": "b"}
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    assert service["spec"]["loadBalancerClass"] == "example.org/lb"
    assert service["spec"]["loadBalancerSourceRanges"] == ["203.0.113.0/24"]
    assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == [("https", 8448)]


PATHS = ["/_matrix/federation", "/_matrix/key"]


def test_an_ingress_leads_federation_and_keys_to_the_gateway(render):
    manifests = render({"ingress": {"enabled": True, "className": "c", "hosts": ["one.example", "two.example"]}})
    ingress = manifests.get("Ingress", "gateway")["spec"]
    assert [rule["host"] for rule in ingress["rules"]] == ["one.example", "two.example"]
    for rule in ingress["rules"]:
        assert [path["path"] for path in rule["http"]["paths"]] == PATHS
        for path in rule["http"]["paths"]:
            assert path["backend"]["service"] == {"name": "r-postern-gateway", "port": {"name": "http"}}


def test_a_route_of_the_gateway_api_does_the_same(render):
    manifests = render({"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["one.example"]},
                        "gateway": {"service": {"port": 80}}})
    route = manifests.get("HTTPRoute", "gateway")["spec"]
    assert [match["path"]["value"] for match in route["rules"][0]["matches"]] == PATHS
    assert route["rules"][0]["backendRefs"] == [{"name": "r-postern-gateway", "port": 80}]
    assert route["parentRefs"] == [{"name": "public"}]


def test_no_kind_that_a_cluster_may_lack_is_used_unless_it_is_asked_for(render):
    plain = render({"mtls": {"existingSecrets": {tier: "s" for tier in chart.TIERS}, "certManager": {"enabled": False}}})
    groups = {document["apiVersion"].rpartition("/")[0] for document in plain.all}
    assert groups == {"", "apps", "batch", "networking.k8s.io", "policy"}


def test_cloudnativepg_waits_for_a_standby_at_each_commit(render):
    cluster = render({"database": {"existingSecret": "", "cloudNativePG": {"enabled": True}}}).get("Cluster", "db")
    assert cluster["spec"]["instances"] == 3
    assert cluster["spec"]["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}
    assert cluster["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_what_an_operator_says_of_the_cluster_goes_before_the_chart_s(render):
    over = {"enabled": True, "synchronousStandbys": 0, "keep": False, "spec": {"storage": {"size": "1Ti"}, "enableSuperuserAccess": True}}
    cluster = render({"database": {"existingSecret": "", "cloudNativePG": over}}).get("Cluster", "db")
    assert cluster["spec"]["storage"]["size"] == "1Ti"
    assert cluster["spec"]["enableSuperuserAccess"] is True
    assert "synchronous" not in cluster["spec"]["postgresql"]
    assert "annotations" not in cluster["metadata"]


MONITORED = {"monitoring": {name: {"enabled": True, "labels": {"release": "p"}} for name in ("serviceMonitor", "prometheusRule", "dashboard")}}


def test_metrics_are_fetched_from_every_pod_and_say_of_which_tier(render):
    manifests = render(MONITORED)
    monitor = manifests.get("ServiceMonitor", None)
    assert monitor["metadata"]["labels"]["release"] == "p"
    selector = monitor["spec"]["selector"]
    watched = {chart.component_of(service) for service in manifests.of_kind("Service")
               if selector["matchLabels"].items() <= service["metadata"]["labels"].items()
               and chart.component_of(service) in selector["matchExpressions"][0]["values"]
               and "admin" in {port["name"] for port in service["spec"]["ports"]}}
    assert watched == set(chart.TIERS)
    endpoint = monitor["spec"]["endpoints"][0]
    assert (endpoint["port"], endpoint["path"]) == ("admin", "/metrics")
    assert {"sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_component"], "targetLabel": "postern_tier"} in endpoint["relabelings"]


def test_each_pod_is_asked_for_its_metrics_once(render):
    services = [service for service in render().of_kind("Service") if "admin" in {port["name"] for port in service["spec"]["ports"]}]
    assert sorted(chart.component_of(service) for service in services) == sorted(chart.TIERS)


def with_files(tmp_path, files):
    copy = chart.copy_of_chart(tmp_path)
    for file in (copy / "files").glob("*"):
        file.unlink()
    (copy / "files").mkdir(exist_ok=True)
    for name, text in files.items():
        (copy / "files" / name).write_text(text, encoding="utf-8")
    return copy


def test_rules_and_dashboard_are_those_of_the_files(helm, tmp_path):
    groups = [{"name": "g", "rules": [{"alert": "A", "expr": "up == 0", "annotations": {"summary": "{{ $labels.instance }} is down"}}]}]
    board = {"title": "Postern", "panels": [{"legend": "{{tier}}"}]}
    copy = with_files(tmp_path, {"rules.yml": yaml.safe_dump({"groups": groups}), "dashboard.json": json.dumps(board, indent=2)})
    manifests = chart.Manifests(helm.render_text(chart.merged(chart.LEAST, MONITORED), chart=copy))
    assert manifests.get("PrometheusRule", None)["spec"] == {"groups": groups}
    assert json.loads(manifests.get("ConfigMap", "dashboard")["data"]["postern.json"]) == board
    assert manifests.get("ConfigMap", "dashboard")["metadata"]["labels"]["release"] == "p"


def test_without_the_files_there_are_neither(helm, tmp_path):
    manifests = chart.Manifests(helm.render_text(chart.merged(chart.LEAST, MONITORED), chart=with_files(tmp_path, {})))
    assert manifests.of_kind("PrometheusRule") == []
    assert manifests.get("ConfigMap", "dashboard") is None


def test_nothing_of_it_is_there_unasked(render):
    assert render().of_kind("ServiceMonitor", "PrometheusRule") == []
    assert render().get("ConfigMap", "dashboard") is None


PROBE = {"tests": {"leave": {"enabled": True, "user": "@probe:probe.example", "room": "!r:here.example", "existingSecret": "probe-key"}}}


def test_helm_test_asks_a_gateway_as_other_servers_do(render):
    pod = render().get("Pod", "test")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert [container["name"] for container in pod["spec"]["containers"]] == ["http"]
    urls = [argument for argument in pod["spec"]["containers"][0]["args"] if argument.startswith("http")]
    base = "http://r-postern-gateway.matrix.svc.cluster.local:8008"
    assert urls == [f"{base}/_matrix/federation/v1/version", f"{base}/_matrix/key/v2/server"]


def test_helm_test_plays_a_real_leave_where_a_user_is_given(render):
    pod = render(PROBE).get("Pod", "test")["spec"]
    leave = next(container for container in pod["containers"] if container["name"] == "leave")
    assert leave["image"] == "posternctl:0.1.0"
    assert leave["args"][0] == "leave" and leave["args"][-1] == "!r:here.example"
    assert "probe-key" in chart.secrets_of(pod)


def test_helm_test_asks_over_tls_where_the_gateway_has_it(render):
    manifests = render(chart.merged(PROBE, {"gateway": {"tls": {"existingSecret": "s"}}}))
    for container in manifests.get("Pod", "test")["spec"]["containers"]:
        assert [argument for argument in container["args"] if argument.startswith("https://r-postern-gateway.matrix.svc.cluster.local:8448")]
        assert "--insecure" in container["args"]


def test_without_anything_to_test_there_is_no_test(render):
    assert render({"tests": {"http": {"image": ""}}}).get("Pod", "test") is None
