"""Windows that close and open during a run: the bytes stop, the agent ends, and the next one continues in the file."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import KubectlError, Object, condition, is_, under_way
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences

from smbferry_api.fields import parse_quantity

pytestmark = pytest.mark.takes(60)

SIZE, SLOW = 96 << 20, "4Mi"
ALWAYS = {"from": "00:00", "to": "24:00"}


def closed_now() -> tuple[dict[str, Any], str]:
    """A window that opens in about six hours, and that time as a message has it."""
    begin = (datetime.now(UTC) + timedelta(hours=6)).replace(second=0, microsecond=0)
    end = begin + timedelta(hours=1)
    return {"from": f"{begin:%H:%M}", "to": f"{end:%H:%M}"}, f"{begin:%Y-%m-%dT%H:%M:%SZ}"


def written(run: Object) -> int:
    return int(run["status"].get("counters", {}).get("bytes", {}).get("written", 0))


@pytest.mark.fault(195)
@pytest.mark.fault(197)
def test_a_window_that_closes_stops_a_run_and_one_that_opens_continues_it_inside_the_file(scene: Scene) -> None:
    scene.source.seed([Wanted("slow.bin", size=SIZE), Wanted("small.txt", size=10)])
    scene.ready()
    scene.kube.apply(objects.task("nights", SOURCE, DESTINATION, windows=[{**ALWAYS, "bytesPerSecond": SLOW}]))
    name = scene.run_of("nights")
    begun = scene.kube.wait("transferrun", name, "under way", under_way, timeout=60)
    assert begun["status"]["counters"].get("bytesPerSecond", 0) < 3 * parse_quantity(SLOW), "the window's limit holds"
    scene.kube.wait("transferrun", name, "in the file", lambda r: written(r) > 12 << 20, timeout=30)

    window, opens = closed_now()
    edited = time.monotonic()
    scene.kube.patch("transfertask", "nights", {"spec": {"windows": [window]}})
    is_paused = is_("Succeeded", "Unknown", "WindowClosed")
    paused = scene.kube.wait("transferrun", name, "paused", is_paused, timeout=60)
    assert time.monotonic() - edited < 60
    assert paused["status"]["state"] == "Queued"
    assert condition(paused, "Succeeded")["message"].startswith(f"Paused: windows are closed until {opens}.")
    assert "failure" not in paused["status"]
    assert {pod["status"]["phase"] for pod in scene.kube.list("pods", f"smbferry.io/run={name}")} == {"Failed"}
    (partial,) = paused["status"]["partialFiles"]
    assert 0 < partial["end"] <= written(paused) < SIZE

    scene.kube.patch("transfertask", "nights", {"spec": {"windows": [ALWAYS]}})
    ended = scene.end_of(name)
    assert ended["status"]["state"] == "Succeeded", ended["status"]
    assert written(paused) + written(ended) <= SIZE + 10, "what was there was not written again"
    assert ended["status"]["attempts"] == 1, "a pause is no attempt"
    assert "partialFiles" not in ended["status"]
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []


@pytest.mark.fault(196)
def test_windows_that_can_never_work_are_refused_or_named(scene: Scene) -> None:
    for windows, words in (
        ([{"from": "06:00", "to": "06:00"}], "from and to must differ"),
        ([{**ALWAYS, "pause": True, "bytesPerSecond": SLOW}], "cannot combine pause with bytesPerSecond"),
    ):
        with pytest.raises(KubectlError, match=words):
            scene.kube.apply(objects.task("refused", SOURCE, DESTINATION, windows=windows))
    named = {
        "no-zone": ([{**ALWAYS, "timeZone": "Europe/Berln"}], "Europe/Berln"),
        "two-limits": ([ALWAYS, {"from": "08:00", "to": "18:00", "bytesPerSecond": SLOW}], "one limit at a time"),
        "never": ([{**ALWAYS, "pause": True}], "at all times"),
    }
    tasks = [objects.task(name, SOURCE, DESTINATION, windows=windows) for name, (windows, _) in named.items()]
    scene.kube.apply(*tasks)
    for name, (_, words) in named.items():
        found = scene.kube.wait("transfertask", name, "refused", is_("Ready", "False", "SpecInvalid"), timeout=30)
        assert words in condition(found, "Ready")["message"]
        assert found["status"].get("activeRun") is None
