"""A watch that has died without a word makes the liveness probe fail; one that is merely quiet does not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import new_namespace
from lab.support.cluster.process import operator

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.takes(70), pytest.mark.usefixtures("chart")]

NOTICED_WITHIN = 100
DEAF = """
from smbferry_operator.cluster import kopf_events
from smbferry_operator.main import main
whole = kopf_events._watch
kopf_events._watch = lambda consumer, kind, *rest: None if kind == "TransferTask" else whole(consumer, kind, *rest)
raise SystemExit(main([]))
"""


def test_a_dead_watch_fails_the_probe_and_a_living_one_does_not(environment: dict[str, str], tmp_path: Path) -> None:
    kube = new_namespace(environment)
    try:
        kube.apply(objects.task("unheard", "nowhere", "nowhere-else"))
        with operator(kube, "deaf", 2, tmp_path, DEAF) as deaf:
            deaf.wait(leading=True, seconds=30)
            assert deaf.probe("healthz")["problem"] is None
            until = time.monotonic() + NOTICED_WITHIN
            while (said := deaf.probe("healthz")).get("problem") is None:
                assert time.monotonic() < until, f"never noticed: {said}"
                time.sleep(1)
            assert "the watch of TransferTask objects" in said["problem"]
            with operator(kube, "whole", 3, tmp_path) as whole:
                whole.wait(leading=False, seconds=30)
                assert whole.probe("healthz")["problem"] is None
    finally:
        kube.kubectl("delete", "namespace", kube.namespace, "--wait=false")
