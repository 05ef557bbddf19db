"""Who may speak to whom, evaluated from the NetworkPolicies. Nothing here enforces them: that is the cluster's network's part."""
import pytest

import chart
from network_policies import Network, Party, pod

HTTP, TLS, VALIDATOR, STORE, POSTGRESQL, DNS = 8008, 8448, 7101, 7102, 5432, 53
ADMIN = {"gateway": 9093, "validator": 9091, "store": 9092}
ALL_PORTS = [("TCP", port) for port in (22, DNS, 443, 5432, 6432, VALIDATOR, STORE, 7103, HTTP, TLS, 8000, *ADMIN.values(), 9187)] + [("UDP", DNS)]

OUTSIDE = {
    "ingress controller": pod("ingress controller", "ingress-nginx", app="nginx"),
    "prometheus": pod("prometheus", "monitoring", app="prometheus"),
    "dns": pod("dns", "kube-system", **{"k8s-app": "kube-dns"}),
    "another pod of kube-system": pod("another pod of kube-system", "kube-system", app="x"),
    "a neighbour": pod("a neighbour", chart.NAMESPACE, app="x"),
    "another release": pod("another release", chart.NAMESPACE, **{
        "app.kubernetes.io/name": "postern", "app.kubernetes.io/instance": "other", "app.kubernetes.io/component": "gateway"}),
    "a pod elsewhere": pod("a pod elsewhere", "default", app="x"),
    "another server": Party("another server", address="203.0.113.7"),
    "another server, IPv6": Party("another server, IPv6", address="2001:db8:1::7"),
    "a private address": Party("a private address", address="10.9.8.7"),
    "a private address, IPv6": Party("a private address, IPv6", address="fd00::7"),
    "the cloud's metadata": Party("the cloud's metadata", address="169.254.169.254"),
    "PostgreSQL": Party("PostgreSQL", address="10.30.0.10"),
}


def parties_of(manifests):
    own = {component: Party(component, chart.NAMESPACE, tuple(sorted(metadata["labels"].items())))
           for component, metadata, _ in manifests.pods()}
    return own | OUTSIDE


def spoken(manifests, parties=None):
    """{(who, whom): the ports}, of all pairs of which at least one is a pod of the chart's."""
    network = Network(manifests.of_kind("NetworkPolicy"))
    parties = parties or parties_of(manifests)
    found = {}
    for source in parties.values():
        for target in parties.values():
            if source is target or (source.name in OUTSIDE and target.name in OUTSIDE):
                continue
            ports = {f"{protocol} {port}" for protocol, port in ALL_PORTS if network.lets(source, target, protocol, port)}
            if ports:
                found[source.name, target.name] = ports
    return found


def tcp(*ports):
    return {f"TCP {port}" for port in ports}


DNS_PORTS = {"TCP 53", "UDP 53"}
EVERY_TCP = {f"{protocol} {port}" for protocol, port in ALL_PORTS if protocol == "TCP"}
# Who else is open to all comers: federation is, unless somebody is named.
ANYBODY = {(name, "gateway"): tcp(HTTP) for name in OUTSIDE}
METRICS = {("prometheus", tier): tcp(port) for tier, port in ADMIN.items()}
BETWEEN = {("gateway", "validator"): tcp(VALIDATOR), ("gateway", "store"): tcp(STORE), ("test", "gateway"): tcp(HTTP)}
LOOKUPS = {(name, "dns"): DNS_PORTS for name in ("gateway", "store", "test")}
FEDERATION = {("gateway", "another server"): EVERY_TCP, ("gateway", "another server, IPv6"): EVERY_TCP}
PLAIN = {"networkPolicy": {"database": [{"ipBlock": {"cidr": "10.30.0.10/32"}}]}}


def test_this_and_nothing_else_is_let_through(render):
    expected = {**ANYBODY, **BETWEEN, **LOOKUPS, **FEDERATION, ("store", "PostgreSQL"): tcp(POSTGRESQL)}
    expected |= METRICS | {("prometheus", "gateway"): tcp(HTTP, ADMIN["gateway"])}
    assert spoken(render(PLAIN)) == expected


def test_where_somebody_is_named_only_they_and_the_test_reach_federation(render):
    named = chart.merged(PLAIN, {"networkPolicy": {"federationFrom": [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}]}})
    reaching = {who: ports for (who, whom), ports in spoken(render(named)).items() if whom == "gateway"}
    assert reaching == {"ingress controller": tcp(HTTP), "test": tcp(HTTP), "prometheus": tcp(ADMIN["gateway"])}


def test_with_tls_it_is_the_port_of_tls(render):
    manifests = render(chart.merged(PLAIN, {"gateway": {"tls": {"existingSecret": "s"}}}))
    found = spoken(manifests)
    assert found["another server", "gateway"] == tcp(TLS)
    assert found["test", "gateway"] == tcp(TLS)


def test_the_validator_speaks_to_nobody(of_example):
    assert [pair for pair in spoken(of_example) if pair[0] == "validator"] == []


def test_the_configuration_check_speaks_to_nobody_and_nobody_to_it(of_example):
    assert [pair for pair in spoken(of_example) if "configuration-check" in pair] == []


def test_validator_and_store_are_spoken_to_by_the_gateway_alone_in_every_example(of_example):
    found = spoken(of_example)
    for tier in ("validator", "store"):
        assert {who for who, whom in found if whom == tier} == {"gateway", "prometheus"}
        assert found["prometheus", tier] == tcp(ADMIN[tier])


def test_posternctl_s_port_is_reached_by_nobody(of_example):
    assert not [pair for pair, ports in spoken(of_example).items() if pair[1] == "gateway" and "TCP 7103" in ports]


def test_no_release_lets_in_another_s_gateway(render):
    found = spoken(render(PLAIN))
    assert not [pair for pair in found if pair[0] == "another release" and pair[1] in ("validator", "store")]


def test_without_named_peers_the_store_reaches_the_database_s_port_alone(render):
    found = spoken(render({"networkPolicy": {"databasePort": 6432}}))
    assert found["store", "PostgreSQL"] == tcp(6432)
    assert found["store", "another server"] == tcp(6432)


def test_listed_networks_are_reached_though_they_are_private(render):
    found = spoken(render(chart.merged(PLAIN, {"gateway": {"config": {"allowed_networks": ["10.9.0.0/16"]}}})))
    assert found["gateway", "a private address"] == EVERY_TCP
    assert ("gateway", "the cloud's metadata") not in found


def test_listed_dns_servers_are_asked(render):
    manifests = render({"gateway": {"config": {"dns_servers": ["10.1.1.1", "10.1.1.2:5353", "[fd00::1]", "[fd00::2]:5353"]}}})
    network = Network(manifests.of_kind("NetworkPolicy"))
    gateway = parties_of(manifests)["gateway"]
    for address, port in [("10.1.1.1", 53), ("10.1.1.2", 5353), ("fd00::1", 53), ("fd00::2", 5353)]:
        for protocol in ("TCP", "UDP"):
            assert network.lets(gateway, Party("dns", address=address), protocol, port)
        assert not network.lets(gateway, Party("dns", address=address), "TCP", port + 1)


def test_cloudnativepg_s_servers_are_reached_by_the_store_the_operator_and_each_other(render):
    manifests = render({"database": {"existingSecret": "", "cloudNativePG": {"enabled": True}}})
    servers = pod("the database", chart.NAMESPACE, **{"cnpg.io/cluster": "r-postern-db"})
    operator = pod("the operator", "cnpg-system", app="cnpg")
    network = Network(manifests.of_kind("NetworkPolicy"))
    parties = parties_of(manifests) | {"the operator": operator}
    reaching = {name: {port for _, port in ALL_PORTS if network.lets(party, servers, "TCP", port)} for name, party in parties.items()}
    reaching = {name: ports for name, ports in reaching.items() if ports}
    assert reaching == {"store": {5432}, "prometheus": {9187}, "the operator": {5432, 8000}}
    assert not network.lets(parties["store"], OUTSIDE["PostgreSQL"], "TCP", 5432)
    assert network.lets(servers, pod("another", chart.NAMESPACE, **{"cnpg.io/cluster": "r-postern-db"}), "TCP", 5432)


def test_without_policies_there_are_none(render):
    assert render({"networkPolicy": {"enabled": False}}).of_kind("NetworkPolicy") == []


@pytest.mark.parametrize("rule,peer,lets", [
    ({}, OUTSIDE["a private address"], True),
    ({"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.9.0.0/16"]}}]}, OUTSIDE["a private address"], False),
    ({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, OUTSIDE["a private address"], True),
    ({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 80, "endPort": 90}]}, OUTSIDE["a private address"], False),
    ({"to": [{"podSelector": {"matchLabels": {"app": "x"}}}]}, OUTSIDE["a neighbour"], True),
    ({"to": [{"podSelector": {"matchLabels": {"app": "x"}}}]}, OUTSIDE["a pod elsewhere"], False),
    ({"to": [{"namespaceSelector": {}}]}, OUTSIDE["a pod elsewhere"], True),
    ({"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "y"}}}]}, OUTSIDE["a pod elsewhere"], False),
])
def test_policies_are_read_as_kubernetes_reads_them(rule, peer, lets):
    policy = {"metadata": {"namespace": chart.NAMESPACE}, "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]}}
    assert Network([policy]).lets(pod("me", chart.NAMESPACE), peer, "TCP", 7000) is lets


def test_with_tracing_each_tier_reaches_the_collector_and_nothing_more(render):
    collector = pod("collector", "observability", app="collector")
    tracing = {"endpoint": "http://collector.observability.svc:8000", "collector": [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}]}
    manifests = render({"tracing": tracing})
    parties = parties_of(manifests) | {"collector": collector}
    before, after = spoken(render(), parties), spoken(manifests, parties)
    more = {pair: ports - before.get(pair, set()) for pair, ports in after.items() if ports != before.get(pair)}
    assert more == {(tier, "collector"): tcp(8000) for tier in chart.TIERS} | {("validator", "dns"): DNS_PORTS}
    for tier in chart.TIERS:
        assert "otlp_endpoint: http://collector.observability.svc:8000" in manifests.configuration(tier)
        assert ("trace_sample_ratio" in manifests.configuration(tier)) == (tier == "gateway")
