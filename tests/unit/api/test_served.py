"""What the API server returns is read leniently; what people write is judged strictly."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from smbferry_api.location import SmbLocationSpec
from smbferry_api.run_status import RunState, TransferRunStatus
from smbferry_api.served import read_spec, read_status

WRITTEN = {"server": "files.corp.example.com", "share": "data", "identityRef": {"name": "svc"}}
SERVED = {**WRITTEN, "addedLater": 1, "identityRef": {"name": "svc", "addedLater": True}}


def test_fields_that_are_not_known_are_left_aside_at_every_depth() -> None:
    assert read_spec(SmbLocationSpec, SERVED) == SmbLocationSpec.model_validate(WRITTEN)


@pytest.mark.fault(130)
def test_what_people_write_is_still_refused_by_name() -> None:
    with pytest.raises(ValidationError, match=r"addedLater"):
        SmbLocationSpec.model_validate(SERVED)


def test_a_field_that_is_known_is_judged_as_ever() -> None:
    with pytest.raises(ValidationError, match="server"):
        read_spec(SmbLocationSpec, {**SERVED, "server": "-"})


def test_a_status_loses_the_fields_that_can_not_be_read_and_says_which() -> None:
    status, problem = read_status(
        TransferRunStatus, {"state": "Resting", "jobRef": "xrun-1", "phases": {"transfer": {"state": "Secret"}}}
    )

    assert (status.state, status.job_ref, status.phases) == (None, "xrun-1", None)
    assert "status.state" in problem
    assert "status.phases.transfer.state" in problem


@pytest.mark.parametrize("value", [None, {}, "text", ["state"], {"state": "Succeeded", "addedLater": 1}])
def test_whatever_stands_there_is_some_status(value: object) -> None:
    status, problem = read_status(TransferRunStatus, value)

    assert status.state in {None, RunState.SUCCEEDED}
    assert problem == ""
