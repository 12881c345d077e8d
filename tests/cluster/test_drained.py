"""A run that is older than the start deadline goes on when its node is drained.

The operator has a shorter deadline here; `make drain-check` shows the same with the one that the chart has.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster.chart import install_chart
from tests.cluster.drained import drained_when_older_than

if TYPE_CHECKING:
    from lab.support.cluster.scene import Scene

pytestmark = [pytest.mark.alone, pytest.mark.takes(120)]

START_DEADLINE = timedelta(seconds=45)


@pytest.mark.fault(120)
def test_a_run_older_than_the_start_deadline_goes_on_when_its_node_is_drained(
    scene: Scene, environment: dict[str, str]
) -> None:
    install_chart(environment, f"agent.startDeadline={START_DEADLINE.seconds}s")
    try:
        drained_when_older_than(scene, START_DEADLINE)
    finally:
        install_chart(environment)
