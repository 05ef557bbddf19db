"""What holds for every example as a whole."""
import re
import subprocess
import tarfile

import kubernetes_validate
import pytest

import chart

# What is no part of Kubernetes, and so in none of its schemas.
FROM_ELSEWHERE = {"monitoring.coreos.com", "postgresql.cnpg.io", "cert-manager.io", "gateway.networking.k8s.io"}


def group_of(document):
    return document["apiVersion"].rpartition("/")[0]


def test_helm_lints_it_strictly(helm, example):
    done = helm.lint(chart.CHART / "ci" / f"{example}-values.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_object_is_valid_for_its_kubernetes_version(of_example):
    for document in of_example.all:
        if group_of(document) not in FROM_ELSEWHERE:
            kubernetes_validate.validate(document, chart.KUBERNETES, strict=True)


def test_rendering_twice_gives_the_same(helm, example):
    values = chart.example(example)
    assert helm.render_text(values) == helm.render_text(values)


def test_no_two_objects_have_one_name(of_example):
    names = [(document["kind"], document["metadata"]["name"]) for document in of_example.all]
    assert len(names) == len(set(names))


def test_every_object_names_its_namespace(of_example):
    assert {document["metadata"]["namespace"] for document in of_example.all} == {chart.NAMESPACE}


def check_configuration(bin_dir, tmp_path, tier, text):
    """What the service itself says of its file, with the mounts put elsewhere."""
    (tmp_path / "database").mkdir(exist_ok=True)
    (tmp_path / "database" / "uri").write_text("postgresql://db.example/postern\n", encoding="utf-8")
    file = tmp_path / f"{tier}.yaml"
    file.write_text(text.replace("/etc/postern/", f"{tmp_path}/"), encoding="utf-8")
    return subprocess.run([bin_dir / f"postern-{tier}", "--config", file, "--check-config", "--without-files"], check=False,
                          capture_output=True, text=True)


@pytest.mark.parametrize("tier", chart.TIERS)
def test_the_service_takes_its_configuration(bin_dir, tmp_path, of_example, tier):
    done = check_configuration(bin_dir, tmp_path, tier, of_example.configuration(tier))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tier", chart.TIERS)
def test_a_service_would_say_that_a_configuration_is_wrong(bin_dir, tmp_path, render, tier):
    done = check_configuration(bin_dir, tmp_path, tier, render().configuration(tier) + "\nlissten: x\n")
    assert done.returncode == 2
    assert "lissten: unknown key" in done.stderr


def test_large_numbers_are_written_as_services_read_them(render):
    manifests = render({"store": {"config": {"remote_servers_limit": 100000000}}})
    assert re.search(r"^remote_servers_limit: 100000000$", manifests.configuration("store"), re.MULTILINE)


def test_a_package_of_the_chart_renders_the_same_and_holds_no_more_than_it_needs(helm, tmp_path):
    done = helm("package", chart.CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    package, = tmp_path.glob("postern-*.tgz")
    assert helm.render_text(chart.LEAST, chart=package) == helm.render_text(chart.LEAST)
    with tarfile.open(package) as archive:
        names = {name.removeprefix("postern/").partition("/")[0] for name in archive.getnames()}
    assert names - {"files"} == {".helmignore", "Chart.yaml", "README.md", "templates", "values.schema.json", "values.yaml"}


def test_the_oldest_kubernetes_that_is_promised_knows_every_field(helm):
    for document in chart.render(helm, chart.example("large")).all:
        if group_of(document) not in FROM_ELSEWHERE:
            kubernetes_validate.validate(document, "1.30", strict=True)
