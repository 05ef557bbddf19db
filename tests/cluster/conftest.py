import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "deploy"), str(ROOT / "deploy" / "dev")]
import programs  # noqa: E402
from api_server import ApiServer  # noqa: E402
from started import Started  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--environments", type=pathlib.Path, required=True, help="where run.py keeps what it has built")
    parser.addoption("--directory", type=pathlib.Path, required=True, help="for all that a run writes")


@pytest.fixture(scope="session")
def environments(request):
    return request.config.getoption("--environments")


@pytest.fixture(scope="module")
def api_server(request, environments):
    """With everybody's definitions, and the namespace that the chart's examples are for; nothing but a server: no controller, no node."""
    started = Started(request.config.getoption("--directory"))
    try:
        server = ApiServer(request.config.getoption("--directory") / "api", started, programs.built(environments, programs.API_PROGRAMS))
        definitions = [path for path in programs.definitions(environments).iterdir() if path.is_dir()]
        server.install_definitions(*definitions, pathlib.Path(__file__).with_name("definitions"))
        server.make_namespace("matrix")
        # Of a cluster's administrator; the largest example asks for it.
        server.apply({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "matrix"}, "value": 1000})
        yield server
    finally:
        started.end()
