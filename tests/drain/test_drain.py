"""A run that is older than the quarter of an hour which an agent has to start, and whose node is drained, goes on.

It takes that long in earnest; with a shorter deadline it is among the cluster tests.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.cluster.drained import drained_when_older_than

if TYPE_CHECKING:
    from lab.support.cluster.scene import Scene

START_DEADLINE = timedelta(minutes=15)
"""As the chart has it."""


@pytest.mark.fault(120)
def test_a_run_older_than_the_start_deadline_goes_on_when_its_node_is_drained(scene: Scene) -> None:
    drained_when_older_than(scene, START_DEADLINE)
