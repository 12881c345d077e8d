"""What the scene reads from the server."""

from __future__ import annotations

import pytest
from lab.bench.scene import BenchError, cpu_seconds


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("12500000000\n", 12.5),
        ("usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n", 2.5),
    ],
)
def test_cpu_time_is_read_from_either_version_of_control_groups(said: str, seconds: float) -> None:
    assert cpu_seconds(said) == seconds


def test_anything_else_is_refused() -> None:
    with pytest.raises(BenchError, match="control group"):
        cpu_seconds("cat: no such file")
