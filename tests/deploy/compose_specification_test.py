"""deploy/compose.yaml against the Compose Specification: its own reader of it takes the file, and finds whatever a service names."""
import pathlib
import re

import compose_spec
import pytest
import yaml

FILE = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "compose.yaml"


def text_of(change=lambda document: None):
    """The file as it is read: variables filled, merge keys (`<<`) resolved; with a change."""
    filled = re.sub(r"\$\{\w+(?::([-?])([^}]*))?\}", lambda m: m[2] if m[1] == "-" else "given.example", FILE.read_text(encoding="utf-8"))
    document = yaml.safe_load(filled)
    change(document)
    return yaml.safe_dump(document)


def test_the_file_is_what_the_specification_says():
    compose_spec.PyCompose.from_yaml(text_of()).validate()


WRONG = [
    ("a misspelt key", lambda document: document["services"]["store"].update(depend_on=[]), "depend_on"),
    ("a network that is not there", lambda document: document["services"]["store"].update(networks=["nowhere"]), "nowhere"),
    ("a secret that is not there", lambda document: document["services"]["store"].update(secrets=["nothing"]), "nothing"),
]


@pytest.mark.parametrize("change,word", [pytest.param(change, word, id=name) for name, change, word in WRONG])
def test_a_mistake_would_be_seen(change, word):
    with pytest.raises(Exception, match=word):
        compose_spec.PyCompose.from_yaml(text_of(change)).validate()
