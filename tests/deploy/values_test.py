"""The values: which are refused and how that is said, and that each is documented and reaches the services."""
import json
import re
import subprocess
import sys

import pytest
import yaml

import chart

TIERS = chart.TIERS
SEED = "ed25519 a_1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
CLOUD = {"existingSecret": "", "cloudNativePG": {"enabled": True}}

# name, what is said beside the least complete values, words that the refusal has
WRONG = [
    ("a misspelt key", {"gatway": {}}, ["gatway", "not allowed"]),
    ("a misspelt key of a tier", {"store": {"replica": 2}}, ["/store", "replica", "not allowed"]),
    ("a misspelt key of a probe", {"pods": {"probes": {"liveness": {"period": 2}}}}, ["/pods/probes/liveness", "period", "not allowed"]),
    ("a misspelt key of a service's file", {"store": {"config": {"conections": 2}}}, ["/store/config", "conections", "not allowed"]),
    ("a key that the chart wires", {"gateway": {"config": {"listen": "x"}}}, ["/gateway/config", "listen", "not allowed"]),
    ("seeding", {"store": {"config": {"allow_seeding": True}}}, ["/store/config", "allow_seeding", "not allowed"]),
    ("a number that is none", {"store": {"replicas": "two"}}, ["/store/replicas", "want integer"]),
    ("no replicas", {"gateway": {"replicas": 0}}, ["/gateway/replicas", "minimum"]),
    ("a number beyond the service's bounds", {"gateway": {"config": {"workers": 1}}}, ["/gateway/config/workers", "minimum"]),
    ("a time that is none", {"gateway": {"config": {"request_timeout": "20 seconds"}}}, ["/gateway/config/request_timeout", "pattern"]),
    ("a log level that is none", {"validator": {"config": {"log_level": "trace"}}}, ["/validator/config/log_level", "'debug'"]),
    ("a network without length", {"gateway": {"config": {"allowed_networks": ["10.0.0.0"]}}}, ["/gateway/config/allowed_networks/0", "pattern"]),
    ("no server name", {"serverName": ""}, ["/serverName", "minLength"]),
    ("a server name with a slash", {"serverName": "https://here.example"}, ["/serverName", "pattern"]),
    ("no signing key", {"signingKey": {"existingSecret": ""}}, ["/signingKey", "existingSecret", "inline"]),
    ("two signing keys", {"signingKey": {"inline": "ed25519 a b"}}, ["/signingKey", "existingSecret", "inline"]),
    ("a Secret that cannot exist", {"signingKey": {"existingSecret": "Not A Name"}}, ["/signingKey/existingSecret", "pattern"]),
    ("a policy that Kubernetes has not", {"pods": {"topologySpread": {"whenUnsatisfiable": "Never"}}}, ["whenUnsatisfiable", "'ScheduleAnyway'"]),
    ("a preference that Kubernetes cannot weigh", {"pods": {"antiAffinity": {"weight": 101}}}, ["/pods/antiAffinity/weight", "maximum"]),
    ("a grace period of a probe that kills nobody", {"pods": {"probes": {"readiness": {"terminationGracePeriodSeconds": 5}}}},
     ["/pods/probes/readiness", "terminationGracePeriodSeconds", "not allowed"]),
    ("a digest that is none", {"store": {"image": {"digest": "latest"}}}, ["/store/image/digest", "pattern"]),
    ("root", {"pods": {"securityContext": {"runAsUser": 0}}}, ["/pods/securityContext/runAsUser", "minimum"]),
    ("a Service of no type", {"gateway": {"service": {"type": "ExternalName"}}}, ["/gateway/service/type", "'ClusterIP'"]),
    ("a peer that is none", {"networkPolicy": {"database": [{"cidr": "10.0.0.0/8"}]}}, ["/networkPolicy/database/0", "cidr", "not allowed"]),
    ("an old key beside no Secret", {"signingKey": {"existingSecret": "", "inline": SEED, "oldVerifyKeysKey": "old"}},
     ["oldVerifyKeysKey is an entry of existingSecret"]),
    ("an inline key that is none", {"signingKey": {"existingSecret": "", "inline": "hunter2"}}, ["signingKey.inline: expected lines of"]),
    ("two admin tokens", {"adminToken": {"existingSecret": "a", "inline": "0123456789abcdef"}}, ["/adminToken", "inline"]),
    ("an admin token that is short", {"adminToken": {"inline": "hunter2"}}, ["/adminToken/inline", "pattern"]),
    ("a caller's name that is none", {"mtls": {"callers": {"operators": ["*.svc/a"]}}}, ["/mtls/callers/operators/0", "pattern"]),
    ("no database", {"database": {"existingSecret": ""}}, ["/database/existingSecret", "/database/uri", "/database/cloudNativePG/enabled"]),
    ("two databases", {"database": {"uri": "postgresql://x/y"}}, ["/database/existingSecret", "/database/uri"]),
    ("a Secret beside CloudNativePG", {"database": {"cloudNativePG": {"enabled": True}}}, ["/database/existingSecret", "/database/cloudNativePG"]),
    ("more standbys than servers", {"database": chart.merged(CLOUD, {"cloudNativePG": {"instances": 2, "synchronousStandbys": 2}})},
     ["2 instances have at most 1 synchronousStandbys"]),
    ("more connections than PostgreSQL has", {"database": CLOUD, "store": {"config": {"connections": 100}}},
     ["max_connections is 200: 2 stores, and one more during a rollout, take 306"]),
    ("neither certificates nor plaintext", {"mtls": {"certManager": {"enabled": False}}}, ["mtls: give existingSecrets of all of"]),
    ("certificates of two of three", {"mtls": {"certManager": {"enabled": False}, "existingSecrets": {"gateway": "a", "store": "b"}}},
     ["mtls: give existingSecrets of all of"]),
    ("certificates twice", {"mtls": {"existingSecrets": {"gateway": "a"}}}, ["mtls: give either existingSecrets or certManager.enabled, not both"]),
    ("an autoscaler upside down", {"store": {"autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 3}}},
     ["store.autoscaling: minReplicas is more than maxReplicas"]),
    ("an autoscaler by nothing", {"store": {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 0}}},
     ["store.autoscaling: give a targetCPUUtilizationPercentage, a targetUnderWay or metrics"]),
    ("an autoscaler by CPU that is not requested",
     {"validator": {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}},
     ["validator.autoscaling is by the CPU that is requested: give resources.requests.cpu"]),
    ("an Ingress for nobody", {"ingress": {"enabled": True}}, ["ingress.hosts: give at least one"]),
    ("a route from nowhere", {"httpRoute": {"enabled": True}}, ["httpRoute.parentRefs: give at least one"]),
    ("no place of DNS", {"networkPolicy": {"dns": []}}, ["networkPolicy.dns: give at least one peer"]),
    ("a collector without a port", {"tracing": {"endpoint": "http://collector"}}, ["/tracing/endpoint", "pattern"]),
    ("a share that is none", {"tracing": {"sampleRatio": "2"}}, ["/tracing/sampleRatio", "pattern"]),
    ("a collector anywhere", {"tracing": {"endpoint": "http://collector:4317"}}, ["tracing.collector: give at least one peer"]),
    ("a leave of nobody", {"tests": {"leave": {"enabled": True}}}, ["tests.leave: give user, room and existingSecret"]),
]


@pytest.mark.parametrize("over,words", [pytest.param(over, words, id=name) for name, over, words in WRONG])
def test_it_is_refused_in_words_that_say_where_and_why(helm, over, words):
    with pytest.raises(chart.Refused) as refused:
        helm.render_text(chart.merged(chart.LEAST, over))
    for word in words:
        assert word in str(refused.value)


def test_several_mistakes_are_said_at_once(helm):
    with pytest.raises(chart.Refused) as refused:
        helm.render_text(chart.merged(chart.LEAST, {"ingress": {"enabled": True}, "httpRoute": {"enabled": True}}))
    assert "ingress.hosts" in str(refused.value) and "httpRoute.parentRefs" in str(refused.value)


def test_no_refusal_repeats_a_signing_key(helm):
    with pytest.raises(chart.Refused) as refused:
        helm.render_text(chart.merged(chart.LEAST, {"signingKey": {"existingSecret": "", "inline": "ed25519 a hunter2"}}))
    assert "hunter2" not in str(refused.value)


ONE_OF = [
    ({"signingKey": {"existingSecret": ""}}, "signingKey: give exactly one of existingSecret and inline"),
    ({"signingKey": {"inline": SEED}}, "signingKey: give exactly one of existingSecret and inline"),
    ({"adminToken": {"existingSecret": "a", "inline": "0123456789abcdef"}}, "adminToken: give one of existingSecret and inline, or neither"),
    ({"database": {"existingSecret": ""}}, "database: give exactly one of uri, existingSecret and cloudNativePG.enabled"),
    ({"database": {"uri": "postgresql://x/y"}}, "database: give exactly one of uri, existingSecret and cloudNativePG.enabled"),
    ({"database": {"cloudNativePG": {"enabled": True}}}, "database: give exactly one of uri, existingSecret and cloudNativePG.enabled"),
]


@pytest.mark.parametrize("over,words", ONE_OF)
def test_the_template_refuses_none_or_two_of_one_even_where_the_schema_is_not_asked(helm, over, words):
    with pytest.raises(chart.Refused, match=words):
        helm.render_text(chart.merged(chart.LEAST, over), "--skip-schema-validation")


def test_an_older_kubernetes_is_refused(helm, tmp_path):
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(chart.LEAST), encoding="utf-8")
    done = helm("template", "r", chart.CHART, "--kube-version", "1.29", "-f", file)
    assert done.returncode != 0
    assert "chart requires kubeVersion: >=1.30.0-0" in done.stderr


def test_the_readme_is_what_the_comments_of_the_values_say():
    done = subprocess.run([sys.executable, "-B", chart.ROOT / "deploy" / "dev" / "chart_readme.py", "--check"], check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


SCHEMA = json.loads((chart.CHART / "values.schema.json").read_text(encoding="utf-8"))


def objects_of(schema, path=""):
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield path, schema
        for key, value in schema.items():
            yield from objects_of(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from objects_of(value, f"{path}/{number}")


def test_no_object_with_known_keys_takes_others():
    for path, schema in objects_of(SCHEMA):
        if "properties" in schema:
            assert schema.get("additionalProperties") is False, path


def resolved(schema):
    while "$ref" in schema:
        target = SCHEMA
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def unknown_keys(values, schema, path=""):
    schema = resolved(schema)
    for key, value in values.items():
        properties = schema.get("properties", {})
        if key in properties and isinstance(value, dict):
            yield from unknown_keys(value, properties[key], f"{path}{key}.")
        elif "properties" in schema and key not in properties:
            yield f"{path}{key}"


def missing_keys(values, schema, path=""):
    for key, property_schema in resolved(schema).get("properties", {}).items():
        if key not in values:
            yield f"{path}{key}"
        elif isinstance(values[key], dict):
            yield from missing_keys(values[key], property_schema, f"{path}{key}.")


def test_every_value_that_the_schema_knows_has_a_default_and_so_a_line_in_values_yaml():
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text(encoding="utf-8"))
    assert list(unknown_keys(values, SCHEMA)) == []
    of_pods = set(SCHEMA["$defs"]["pods"]["properties"])
    # Of a tier: what may stand there as well as under `pods`. Of objects of Kubernetes, and of services' files: whatever they have.
    free = re.compile(r"\.config\.|\.resources\.|probes\.\w+\.|dnsConfig\.|issuerRef\.|^global$")
    missing = [name for name in missing_keys(values, SCHEMA)
               if not free.search(name) and not (name.split(".")[0] in TIERS and name.split(".")[1] in of_pods)]
    assert missing == []


# What the chart says itself, or has no place for in a cluster: not to be set by an operator.
WIRED = {
    "gateway": {"server_name", "listen", "tls_certificate_file", "tls_key_file", "admin_grpc_listen", "admin_listen", "port_file",
                "drain_delay", "shutdown_grace", "signing_key_file", "old_verify_keys", "old_verify_keys_file", "store", "validator", "plaintext",
                "certificate_file", "key_file", "ca_file", "allowed_peers", "admin_token_file", "otlp_endpoint",
                "trace_sample_ratio", "roles"},
    "validator": {"listen", "admin_listen", "port_file", "plaintext", "certificate_file", "key_file", "ca_file", "allowed_peers",
                  "otlp_endpoint", "drain_delay", "shutdown_grace"},
    "store": {"server_name", "listen", "admin_listen", "port_file", "plaintext", "certificate_file", "key_file", "ca_file", "allowed_peers",
              "otlp_endpoint", "drain_delay", "database_uri_file", "database_uri", "allow_seeding", "shutdown_grace"},
}


def keys_of_service(bin_dir, tier):
    """Every key of its file, dotted, as --help lists flags: in groups, and some only in the file."""
    text = subprocess.run([bin_dir / f"postern-{tier}", "--help"], check=True, capture_output=True, text=True).stdout
    keys, group = set(), ""
    for line in text.splitlines():
        if heading := re.match(r"^(\w+):$", line):
            group = "" if heading[1] == "Options" else f"{heading[1]}."
        elif flag := re.match(r"^  --([a-z0-9-]+)", line):
            name = flag[1].replace("-", "_")
            keys.add(group + name.removeprefix(group.replace(".", "_")))
        elif only := re.match(r"^Only in the file: ([\w.]+)", line):
            keys.add(only[1])
    return keys - {"version", "config", "check_config", "without_files"}


def keys_of_schema(schema, path=""):
    keys = set()
    for key, property_schema in resolved(schema)["properties"].items():
        inner = resolved(property_schema)
        keys |= keys_of_schema(inner, f"{path}{key}.") if "properties" in inner else {path + key}
    return keys


@pytest.mark.parametrize("tier", TIERS)
def test_every_key_of_a_service_s_file_may_be_set_or_is_wired_and_no_other(bin_dir, tier):
    may_be_set = keys_of_schema(SCHEMA["properties"][tier]["properties"]["config"])
    assert may_be_set | WIRED[tier] == keys_of_service(bin_dir, tier)
    assert may_be_set & WIRED[tier] == set()


def test_the_chart_s_version_is_that_of_the_services(bin_dir):
    declared = yaml.safe_load((chart.CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    said = subprocess.run([bin_dir / "postern-store", "--version"], check=True, capture_output=True, text=True).stdout
    assert said.split()[-1] == declared
