"""Leaves that come in while something is done to Postern on its two nodes, each answer held against PostgreSQL afterwards."""
import time

import chart
from leaves_under_way import LeavesUnderWay
from release import is_ready
from started import await_that

A_SECOND = 20
# Less than after which Kubernetes itself gives a node up.
CUT_SECONDS = 26


class Load:
    """Leaves, while something is done. `end` prints the answers by code; lost are those that PostgreSQL does not have as they were answered."""

    def __init__(self, release, remote, directory, seconds, name):
        self.leaves = LeavesUnderWay(release, remote, directory, A_SECOND, seconds, name)
        self.leaves.await_answers(3 * A_SECOND)

    def end(self, goes_on=True, in_doubt=False):
        """{code: how many}. `goes_on`: what was done must have ended before the load did. `in_doubt`: what was not answered 200 may be stored."""
        went_on = self.leaves.going_on()
        codes, lost = self.leaves.end(in_doubt)
        assert lost == []
        assert went_on or not goes_on, "the load ended too early to say anything"
        return codes


def through_a_cut(postern, node, load):
    """The codes of answers of a gateway on another node while no packet comes to or from `node`, which has one of two validators and stores."""
    gateway = next(pod for pod in postern.pods("gateway") if pod["spec"]["nodeName"] != node.name)
    service = postern.reach["federation_url"]
    postern.reach["federation_url"] = f"http://{gateway['status']['podIP']}:8008"
    try:
        under_way = load(75)
        assert {status for _, status in under_way.leaves.answered} == {200}
        node.cut()
        try:
            time.sleep(CUT_SECONDS)
        finally:
            node.mend()
        codes = under_way.end(in_doubt=True)
    finally:
        postern.reach["federation_url"] = service
    await_that("all are ready again", lambda: all(is_ready(pod) for tier in chart.TIERS for pod in postern.pods(tier)), 120)
    return codes
