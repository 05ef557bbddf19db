import pathlib

import pytest

import chart


def pytest_addoption(parser):
    parser.addoption("--helm", required=True, help="the program")
    parser.addoption("--bin-dir", required=True, help="the built services")


@pytest.fixture(scope="session")
def helm(request):
    return chart.Helm(request.config.getoption("--helm"))


@pytest.fixture(scope="session")
def bin_dir(request):
    return pathlib.Path(request.config.getoption("--bin-dir"))


@pytest.fixture(params=chart.EXAMPLES)
def example(request):
    """Each of the chart's examples, by name."""
    return request.param


@pytest.fixture
def of_example(helm, example):
    return chart.render(helm, chart.example(example))


@pytest.fixture
def render(helm):
    """The manifests of the least complete values, with what is said."""
    return lambda over=None: chart.render(helm, chart.merged(chart.LEAST, over or {}))
