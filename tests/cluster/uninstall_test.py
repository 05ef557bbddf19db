"""The end of the release that the tests of nodes share."""
import chart


def test_uninstalling_leaves_no_pod(postern):
    postern.uninstall()
    for tier in chart.TIERS:
        postern.await_gone(tier, 0)
