"""What `helm install` prints: how to go on, and what an operator should know of what was chosen."""
import pytest

import chart

KEY = "ed25519 a_Test AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"
TOKEN = "0123456789abcdef-token"
PROXY = {"ingress": {"enabled": True, "hosts": ["matrix.here.example"]}}
HEADER = {"gateway": {"config": {"client_address_header": "X-Forwarded-For"}}}


# `helm template` leaves the notes out: an object that holds them, in a copy of the chart.
HOLDER = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: r-postern-notes}
data:
  notes: {{ include (print $.Template.BasePath "/NOTES.txt") . | quote }}
"""


@pytest.fixture(scope="module")
def chart_with_notes(tmp_path_factory):
    copy = chart.copy_of_chart(tmp_path_factory.mktemp("notes"))
    (copy / "templates" / "notes.yaml").write_text(HOLDER, encoding="utf-8")
    return copy


@pytest.fixture
def notes(helm, chart_with_notes):
    def of(over=None):
        text = helm.render_text(chart.merged(chart.LEAST, over or {}), "--show-only", "templates/notes.yaml", chart=chart_with_notes)
        return chart.Manifests(text).get("ConfigMap", "notes")["data"]["notes"]
    return of


def test_they_say_where_other_servers_connect_and_how_to_reach_the_services(notes):
    text = notes(PROXY)
    for words in ("https://matrix.here.example", "here.example/.well-known/matrix/server", "port-forward deployment/r-postern-gateway 7103",
                  "helm test r -n matrix", "--certificate tls.crt"):
        assert words in text


WARNED = [
    ({}, []),
    ({"mtls": {"enabled": False}}, ["plaintext"]),
    ({"signingKey": {"existingSecret": "", "inline": KEY}}, ["the signing key stands in the values"]),
    ({"adminToken": {"inline": TOKEN}}, ["the admin token stands in the values"]),
    ({"database": {"existingSecret": "", "uri": "postgresql://x/y"}}, ["the connection string stands in the values"]),
    (HEADER, ["believe X-Forwarded-For whoever sends it"]),
    (chart.merged(HEADER, {"networkPolicy": {"federationFrom": [{"podSelector": {}}]}}), []),
    (PROXY, ["share what one address may ask"]),
    ({"gateway": {"config": {"insecure_federation_tls": True}}}, ["for tests only"]),
]
EVERY_WARNING = {words for _, warnings in WARNED for words in warnings}


@pytest.mark.parametrize("over,warnings", WARNED)
def test_they_warn_of_what_is_dangerous_and_of_nothing_else(notes, over, warnings):
    text = notes(over)
    assert {words for words in EVERY_WARNING if words in text} == set(warnings)


def test_they_say_what_an_operator_must_bring(notes):
    assert "Of certificates, only the gateways' own is let in" in notes()
    assert "only the gateways' own" not in notes({"mtls": {"certManager": {"operatorCertificate": True}}})
    assert "--token-file" not in notes()
    assert "--token-file FILE, with what the Secret the-token holds" in notes({"adminToken": {"existingSecret": "the-token"}})


def test_no_secret_is_printed_in_them(notes):
    assert KEY.split()[2] not in notes({"signingKey": {"existingSecret": "", "inline": KEY}})
    assert TOKEN not in notes({"adminToken": {"inline": TOKEN}})
