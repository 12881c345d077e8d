"""The examples of the page on windows are specs that are accepted, and say what the page says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from tests.documented.commands import ROOT, blocks

from smbferry_api.task import TransferTaskSpec
from smbferry_api.windows import problem_of, state_at

PAGE = "docs/how-to/windows.md"
ENDS = {"source": {"locationRef": {"name": "src"}}, "destination": {"locationRef": {"name": "dst"}}}


def examples() -> list[TransferTaskSpec]:
    """The specs of the page, in its order."""
    found = [
        yaml.safe_load("\n".join(lines)) for kind, lines in blocks(PAGE, (ROOT / PAGE).read_text()) if kind == "yaml"
    ]
    return [TransferTaskSpec.model_validate({**ENDS, **example["spec"]}) for example in found]


def test_all_windows_can_work() -> None:
    assert [problem_of(example.windows) for example in examples()] == [""] * 4


@pytest.mark.parametrize(
    ("number", "moment", "expected"),
    [
        pytest.param(0, "2026-12-01T12:00", (True, None, "2026-12-01T21:00"), id="by night: closed by day"),
        pytest.param(0, "2026-12-01T21:00", (False, None, "2026-12-02T05:00"), id="by night: open"),
        pytest.param(0, "2026-12-05T12:00", (False, None, "2026-12-07T05:00"), id="by night: on a weekend"),
        pytest.param(1, "2026-12-01T12:00", (False, 4 << 20, "2026-12-01T17:00"), id="a brake"),
        pytest.param(1, "2026-12-04T20:00", (False, None, "2026-12-07T07:00"), id="no brake"),
        pytest.param(2, "2026-12-06T02:00", (True, None, "2026-12-06T05:30"), id="a blackout"),
        pytest.param(2, "2026-12-06T06:00", (False, None, "2026-12-13T01:00"), id="no blackout"),
    ],
)
def test_they_say_what_the_page_says(number: int, moment: str, expected: Any) -> None:
    state = state_at(examples()[number].windows, datetime.fromisoformat(moment).replace(tzinfo=UTC))

    assert (state.closed, state.limit, state.until and f"{state.until:%Y-%m-%dT%H:%M}") == expected
