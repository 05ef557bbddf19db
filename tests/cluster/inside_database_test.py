"""A release whose PostgreSQL is a pod of the same cluster."""
import chart
from inside_database import DATABASE, InsideDatabase
from leave_load import Sender
from release import Release, is_ready, restarts
from started import await_that


def test_what_was_stored_is_there_after_postgresql_s_pod_was_replaced(cluster, directory, bin_dir, remote, tmp_path):
    database = InsideDatabase(cluster.api_server, cluster.all[0], directory / "inside-database")
    release = Release("inside", cluster.api_server, database, tmp_path, bin_dir, DATABASE)
    release.upgrade({tier: {"replicas": 1} for tier in chart.TIERS})
    member = release.seed(remote, 1, 1, "inside")
    stored = database.rows("select count(*) from events")
    database.replace_pod()
    await_that("all are ready", lambda: all(is_ready(pod) for tier in chart.TIERS for pod in release.pods(tier)), 90)
    assert database.rows("select count(*) from events") == stored
    answers = Sender(release, remote, tmp_path, 1).send(member).by_status()
    print(f"after PostgreSQL's pod was replaced: {stored[0][0]} events as before; a leave: {answers}", flush=True)
    assert answers == {200: 1}
    assert [restarts(pod) for tier in chart.TIERS for pod in release.pods(tier)] == [0, 0, 0]
    release.uninstall()
    database.end()
