import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "deploy"), str(ROOT / "deploy" / "dev"), str(ROOT / "tests" / "operations")]
import programs  # noqa: E402
from api_server import ApiServer  # noqa: E402
from started import Started  # noqa: E402
import nodes  # noqa: E402
from load_stack import RemoteServer  # noqa: E402
from outside_database import OutsideDatabase  # noqa: E402
from release import NAMESPACE, Release  # noqa: E402
from under_load import Load  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--environments", type=pathlib.Path, required=True, help="where run.py keeps what it has built")
    parser.addoption("--images", type=pathlib.Path, help="the directory of the images' archives")
    parser.addoption("--bin-dir", type=pathlib.Path, help="where posternctl is")
    parser.addoption("--directory", type=pathlib.Path, required=True, help="for all that a run writes")


@pytest.fixture(scope="session")
def environments(request):
    return request.config.getoption("--environments")


@pytest.fixture(scope="session")
def directory(request):
    return request.config.getoption("--directory")


@pytest.fixture(scope="session")
def bin_dir(request):
    return request.config.getoption("--bin-dir")


@pytest.fixture(scope="module")
def api_server(directory, environments):
    """With everybody's definitions, and the namespace that the chart's examples are for; nothing but a server: no controller, no node."""
    started = Started(directory)
    try:
        server = ApiServer(directory / "api", started, programs.built(environments, programs.API_PROGRAMS))
        definitions = [path for path in programs.definitions(environments).iterdir() if path.is_dir()]
        server.install_definitions(*definitions, pathlib.Path(__file__).with_name("definitions"))
        server.make_namespace("matrix")
        # Of a cluster's administrator; the largest example asks for it.
        server.apply({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "matrix"}, "value": 1000})
        yield server
    finally:
        started.end()


@pytest.fixture(scope="session")
def cluster(request, directory, environments):
    """Two nodes that are ready and have the images, and the namespace for the chart."""
    started = Started(directory)
    try:
        nodes.make_bridge()
        paths = programs.built(environments, programs.NODE_PROGRAMS)
        # What extends the API is reached at its own address: the server is on no node.
        server = ApiServer(directory / "cluster-api", started, paths, nodes.BRIDGE_ADDRESS, ["--enable-aggregator-routing=true"])
        both = nodes.Nodes(directory, started, paths, server)
        both.start(sorted(request.config.getoption("--images").glob("*.tar")))
        server.make_namespace(NAMESPACE)
        yield both
    finally:
        started.end()


@pytest.fixture(scope="session")
def database(directory):
    database = OutsideDatabase(directory / "database")
    yield database
    database.end()


@pytest.fixture(scope="session")
def remote(directory, bin_dir):
    """Another homeserver, whose name is an address that pods reach."""
    played = directory / "remote"
    played.mkdir()
    remote = RemoteServer(played, bin_dir, nodes.BRIDGE_ADDRESS)
    yield remote
    remote.end()


@pytest.fixture(scope="session")
def postern(cluster, database, directory, bin_dir):
    """Installed by Helm, and ready."""
    release = Release("postern", cluster.api_server, database, directory, bin_dir)
    print(f"helm install --wait took {release.upgrade():.0f} s", flush=True)
    return release


@pytest.fixture
def load(postern, remote, tmp_path, request):
    """Begins a Load of so many seconds."""
    return lambda seconds: Load(postern, remote, tmp_path, seconds, re.sub(r"[^a-z0-9]", "", request.node.name)[5:45])
