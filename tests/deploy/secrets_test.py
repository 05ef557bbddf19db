"""Who sees which secret: the table of ARCHITECTURE.md, "Who may know what"."""
import base64

import pytest
import yaml

import chart

TOKEN = "0123456789abcdef-token"
KEY = "ed25519 a_Test AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"
URI = "postgresql://postern:hunter2@db.example/postern"
INLINE = {"signingKey": {"existingSecret": "", "inline": KEY}, "database": {"existingSecret": "", "uri": URI}}


def secrets_by_component(manifests):
    return {component: chart.secrets_of(spec) for component, _, spec in manifests.pods()}


def volume_of(manifests, tier, name):
    volumes = manifests.deployment(tier)["spec"]["template"]["spec"]["volumes"]
    return next(volume for volume in volumes if volume["name"] == name)


def test_each_service_sees_its_own_secrets_and_nobody_another_s(render):
    assert secrets_by_component(render()) == {
        "gateway": {"the-signing-key", "r-postern-gateway-tls"},
        "validator": {"r-postern-validator-tls"},
        "store": {"the-database", "r-postern-store-tls"},
        "configuration-check": set(),
        "test": set(),
    }


def test_in_no_example_do_two_kinds_of_pod_see_one_secret(of_example):
    seen = [name for names in secrets_by_component(of_example).values() for name in names]
    assert len(seen) == len(set(seen))


def test_in_every_example_the_gateway_alone_has_a_signing_key_and_the_store_alone_a_database(of_example):
    volumes = {component: {volume["name"] for volume in spec["volumes"]} for component, _, spec in of_example.pods()}
    assert [component for component, names in volumes.items() if "signing-key" in names] == ["gateway"]
    with_secret = [component for component, _, spec in of_example.pods()
                   if any(volume["name"] == "database" and "secret" in volume for volume in spec["volumes"])]
    assert with_secret == ["store"]


def test_secrets_are_files_of_mode_0440(of_example):
    for _, _, spec in of_example.pods():
        for volume in spec["volumes"]:
            assert volume.get("secret", {"defaultMode": 0o440})["defaultMode"] == 0o440


def test_no_secret_comes_by_a_variable(of_example):
    for _, _, spec in of_example.pods():
        for container in chart.containers_of(spec):
            assert "envFrom" not in container
            assert not [entry for entry in container.get("env", []) if "valueFrom" in entry]


def test_an_inline_key_and_connection_string_stand_in_secrets_of_their_own_and_nowhere_else(render):
    manifests = render(INLINE)
    secrets = {secret["metadata"]["name"]: secret["data"] for secret in manifests.of_kind("Secret")}
    assert {name: {entry: base64.b64decode(text).decode() for entry, text in data.items()} for name, data in secrets.items()} == {
        "r-postern-signing-key": {"signing.key": KEY}, "r-postern-database": {"uri": URI}}
    seed = KEY.split()[2]
    for document in manifests.all:
        if document["kind"] != "Secret":
            assert seed not in str(document) and "hunter2" not in str(document)


def test_the_chart_makes_no_secret_where_there_is_one(render):
    assert render().of_kind("Secret") == []


def test_the_signing_key_and_the_old_keys_are_where_the_gateway_looks(render):
    manifests = render({"signingKey": {"key": "my.key", "oldVerifyKeysKey": "old"}})
    assert volume_of(manifests, "gateway", "signing-key")["secret"]["items"] == [
        {"key": "my.key", "path": "signing.key"}, {"key": "old", "path": "old_verify_keys"}]
    configuration = manifests.configuration("gateway")
    assert "signing_key_file: /etc/postern/signing-key/signing.key" in configuration
    assert "old_verify_keys_file: /etc/postern/signing-key/old_verify_keys" in configuration
    assert "old_verify_keys_file" not in render().configuration("gateway")


def test_old_keys_that_stand_in_the_values_are_published(render):
    old = "ed25519:a_old Noi6WqcDj0QmPxCNQqgezwTlBKrfqehY1u2FyWP9uYw 1700000000000"
    assert old in render({"signingKey": {"oldVerifyKeys": [old]}}).configuration("gateway")


def test_the_connection_string_is_where_the_store_looks(render):
    for over, secret, entry in [({"database": {"key": "dsn"}}, "the-database", "dsn"),
                                ({"database": {"existingSecret": "", "cloudNativePG": {"enabled": True}}}, "r-postern-db-app", "uri"),
                                ({"database": {"existingSecret": "", "uri": URI, "key": "ignored"}}, "r-postern-database", "uri")]:
        manifests = render(over)
        source = volume_of(manifests, "store", "database")["secret"]
        assert (source["secretName"], source["items"]) == (secret, [{"key": entry, "path": "uri"}])
        assert "database_uri_file: /etc/postern/database/uri" in manifests.configuration("store")


@pytest.mark.parametrize("tier", chart.TIERS)
def test_mtls_is_of_three_files_of_the_service_s_own(render, tier):
    own = {"existingSecrets": {name: f"{name}-pair" for name in chart.TIERS}, "certManager": {"enabled": False}}
    for over, secret in [({}, f"r-postern-{tier}-tls"), ({"mtls": own}, f"{tier}-pair")]:
        manifests = render(over)
        assert volume_of(manifests, tier, "tls")["secret"]["secretName"] == secret
        configuration = manifests.configuration(tier)
        for line in ("certificate_file: /etc/postern/tls/tls.crt", "key_file: /etc/postern/tls/tls.key", "ca_file: /etc/postern/tls/ca.crt"):
            assert line in configuration
        assert "plaintext" not in configuration


@pytest.mark.parametrize("tier", chart.TIERS)
def test_plaintext_is_only_on_request(render, tier):
    manifests = render({"mtls": {"enabled": False, "certManager": {"enabled": False}}})
    assert "plaintext: true" in manifests.configuration(tier)
    assert "tls" not in {volume["name"] for volume in manifests.deployment(tier)["spec"]["template"]["spec"]["volumes"]}


@pytest.mark.parametrize("over,secret,entry", [({"existingSecret": "the-token", "key": "mine"}, "the-token", "mine"),
                                               ({"inline": TOKEN}, "r-postern-admin-token", "token")])
def test_the_admin_token_is_where_the_gateway_looks_and_nowhere_else(render, over, secret, entry):
    manifests = render({"adminToken": over})
    source = volume_of(manifests, "gateway", "admin-token")["secret"]
    assert (source["secretName"], source["items"]) == (secret, [{"key": entry, "path": "token"}])
    assert "admin_token_file: /etc/postern/admin-token/token" in manifests.configuration("gateway")
    assert [component for component, names in secrets_by_component(manifests).items() if secret in names] == ["gateway"]
    made = [base64.b64decode(document["data"]["token"]).decode() for document in manifests.of_kind("Secret")]
    assert made == ([TOKEN] if "inline" in over else [])
    assert all(TOKEN not in str(document) for document in manifests.all if document["kind"] != "Secret")


def test_without_an_admin_token_none_is_asked_for(render):
    assert "admin_token_file" not in render().configuration("gateway")


def callers_of(manifests, tier):
    return yaml.safe_load(manifests.configuration(tier)).get("allowed_peers", [])


def test_who_may_call_a_service_stands_in_its_configuration_and_in_the_caller_s_certificate(render):
    manifests = render({"mtls": {"certManager": {"operatorCertificate": True}}})
    for tier in chart.TIERS:
        assert callers_of(manifests, tier) == ["r-postern-gateway.matrix.svc", "r-postern-operator.matrix.svc"]
    names = {caller: set(manifests.get("Certificate", caller)["spec"]["dnsNames"]) for caller in (*chart.TIERS, "operator")}
    allowed = {caller for caller in names if names[caller] & set(callers_of(manifests, "store"))}
    assert allowed == {"gateway", "operator"}


def test_callers_with_names_of_their_own_may_be_named(render):
    own = {"existingSecrets": {tier: f"{tier}-pair" for tier in chart.TIERS}, "certManager": {"enabled": False},
           "callers": {"gateway": "gateway.example", "operators": ["ann.example"]}}
    assert callers_of(render({"mtls": own}), "store") == ["gateway.example", "ann.example"]
    assert callers_of(render({"mtls": {"enabled": False, "certManager": {"enabled": False}}}), "store") == []


@pytest.mark.parametrize("tier", ("validator", "store"))
def test_a_certificate_names_the_service_as_gateways_call_it(render, tier):
    manifests = render({"clusterDomain": "cluster.example"})
    address = next(line for line in manifests.configuration("gateway").splitlines() if line.startswith(f"{tier}: "))
    host = address.removeprefix(f"{tier}: dns:///").rpartition(":")[0]
    assert host == f"r-postern-{tier}.matrix.svc.cluster.example"
    certificate = manifests.get("Certificate", tier)["spec"]
    assert host in certificate["dnsNames"]
    assert {"server auth", "client auth"} <= set(certificate["usages"])
    assert certificate["secretName"] == f"r-postern-{tier}-tls"


def test_without_an_issuer_the_chart_makes_an_authority_for_this_release_alone(render):
    manifests = render()
    issuer = manifests.get("Certificate", "gateway")["spec"]["issuerRef"]
    assert issuer == {"name": "r-postern-services", "kind": "Issuer", "group": "cert-manager.io"}
    assert manifests.get("Issuer", "services")["spec"]["ca"]["secretName"] == manifests.get("Certificate", "ca")["spec"]["secretName"]


def test_with_an_issuer_it_makes_none(render):
    manifests = render({"mtls": {"certManager": {"issuerRef": {"name": "mine", "kind": "ClusterIssuer", "group": "cert-manager.io"}}}})
    assert manifests.of_kind("Issuer") == []
    assert {certificate["spec"]["issuerRef"]["name"] for certificate in manifests.of_kind("Certificate")} == {"mine"}


def test_an_operator_s_certificate_is_issued_on_request(render):
    assert render().get("Certificate", "operator") is None
    assert render({"mtls": {"certManager": {"operatorCertificate": True}}}).get("Certificate", "operator") is not None


def test_the_gateway_serves_tls_itself_with_a_secret_that_only_it_sees(render):
    manifests = render({"gateway": {"tls": {"existingSecret": "public-tls"}}})
    assert "tls_certificate_file: /etc/postern/federation-tls/tls.crt" in manifests.configuration("gateway")
    assert [component for component, names in secrets_by_component(manifests).items() if "public-tls" in names] == ["gateway"]


def test_no_seeding_is_ever_allowed_by_the_configuration(of_example):
    assert "allow_seeding" not in of_example.configuration("store")
