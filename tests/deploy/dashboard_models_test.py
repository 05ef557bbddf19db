"""The dashboard against Grafana's own models, of the version that deploy/compose.yaml runs: whatever they do not know would be lost."""
import json
import pathlib
import re

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
MODELS_OF = "11.6"  # requirements.txt has the package for it
# What Grafana's editor shows in its list of variables, and writes itself; its models have no place for it.
OF_THE_EDITOR = re.compile(r"^\.templating\.list\[\d+\]\.definition$")
plugins.register_default_plugins()


def written():
    return json.loads((DEPLOY / "chart" / "files" / "dashboard.json").read_text(encoding="utf-8"))


def lost(before, after, place=""):
    """Where `after` lacks or changes something of `before`; what is empty may go."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{place}.{key}")
            elif value not in (None, "", [], {}, False):
                yield f"{place}.{key}"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{place}[{number}]")
    elif before != after:
        yield place


def through_the_models(document):
    return json.loads(json.dumps(dashboard.Dashboard.from_json(document), cls=JSONEncoder))


def test_nothing_of_it_is_unknown_to_grafana():
    assert [place for place in lost(written(), through_the_models(written())) if not OF_THE_EDITOR.match(place)] == []


MISTAKES = [
    ("a key of a panel", lambda document: panel(document, "timeseries").update(legnd=True), "legnd"),
    ("an option", lambda document: panel(document, "timeseries")["options"].update(tooltips={"mode": "multi"}), "tooltips"),
    ("a key of a query", lambda document: panel(document, "timeseries")["targets"][0].update(expression="up"), "expression"),
]


def panel(document, kind):
    found = [one for row in document["panels"] for one in [row, *row.get("panels", ())] if one["type"] == kind]
    return found[0]


@pytest.mark.parametrize("change,key", [pytest.param(change, key, id=name) for name, change, key in MISTAKES])
def test_a_mistake_would_be_seen(change, key):
    document = written()
    change(document)
    assert [place for place in lost(document, through_the_models(document)) if place.endswith(f".{key}")]


def test_the_models_are_of_the_grafana_that_compose_runs():
    image = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["grafana"]["image"]
    assert re.search(r":(\d+\.\d+)\.", image)[1] == MODELS_OF
