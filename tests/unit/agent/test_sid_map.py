"""The SID map of a run: read from its ConfigMap, refused in words, and the same for every agent of the run."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.api_server import UID

from smbferry_agent.cluster import _agreed_sid_map
from smbferry_agent.errors import AgentError
from smbferry_agent.preflight.sid_map import MAX_SID_MAP, SidMapSource
from smbferry_agent.report.api_client import ObjectKey
from smbferry_agent.report.object_status import ObjectStatus
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.shards import FinishReport, shard_status, shards_in
from smbferry_agent.report.sids import sid_status
from smbferry_agent.report.sinks import status_fields
from smbferry_api.sid_status import MAX_LISTED_SIDS, MAX_SHARD_SIDS
from smbferry_api.task_options import Options, SidMap
from smbferry_engine import SidCount, SidFacts
from smbferry_words.run import PhaseState

if TYPE_CHECKING:
    from pathlib import Path

OPTION = SidMap.model_validate({"configMapRef": {"name": "corp-sids"}})
RULE = b"S-1-5-21-1-2-3 S-1-5-21-4-5-6\n"
DIGEST = hashlib.sha256(RULE).hexdigest()
RUN = ObjectKey("TransferRun", "default", "nightly-1")


def source(tmp_path: Path, **files: bytes) -> SidMapSource:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return SidMapSource(tmp_path)


def test_a_map_is_read_by_its_key(tmp_path: Path) -> None:
    found = source(tmp_path, sids=RULE, other=b"x").read(OPTION)
    assert len(found.rules) == 1
    other = SidMap.model_validate({"configMapRef": {"name": "corp-sids", "key": "mine"}})
    assert len(source(tmp_path, mine=RULE * 0).read(other).rules) == 0


def test_a_task_without_a_map_reads_nothing(tmp_path: Path) -> None:
    assert SidMapSource(tmp_path / "not-mounted").read(None).rules == ()


BAD: dict[str, tuple[dict[str, bytes], str, str]] = {
    "no ConfigMap": ({}, "ConfigMapNotFound", "ConfigMap 'corp-sids' does not exist in this namespace"),
    "no key": ({"sid": RULE}, "ConfigMapKeyNotFound", "has no key 'sids'; it has 'sid'"),
    "a bad line": ({"sids": RULE + b"S-1-5 S-1-1-0"}, "SidMapInvalid", "'corp-sids', line 2: expected a SID"),
    "a chain": ({"sids": RULE + b"S-1-5-21-4-5-6 S-1-5-21-7-8-9"}, "SidMapInvalid", "line 1: .* which line 2 replaces"),
    "no text": ({"sids": b"\xff\xfeS"}, "SidMapInvalid", r"is not UTF-8 text \(byte 0\)"),
    "too large": ({"sids": b"#" * (MAX_SID_MAP + 1)}, "SidMapInvalid", "is larger than 1 MiB"),
}


@pytest.mark.parametrize(("files", "reason", "message"), BAD.values(), ids=BAD)
def test_a_map_that_can_not_be_used_has_a_reason(
    tmp_path: Path, files: dict[str, bytes], reason: str, message: str
) -> None:
    with pytest.raises(AgentError, match=message) as raised:
        source(tmp_path, **files).read(OPTION)
    assert raised.value.reason.name == reason
    assert raised.value.reason.remedy


class Server:
    """The part of the API server's client that is used here."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {}
        self.managers: list[str] = []

    def get(self, _key: ObjectKey) -> dict[str, Any]:
        return {"metadata": {"uid": UID, "resourceVersion": "1"}}

    def apply_status(self, key: ObjectKey, status: dict[str, Any], _version: str, manager: str) -> dict[str, Any]:
        self.status |= status
        self.managers.append(manager)
        return self.get(key)

    def source(self, folder: Path) -> SidMapSource:
        manifest = json.loads(json.dumps({"metadata": {"name": "nightly-1"}, "status": self.status}))
        run = ObjectStatus(self, RUN, UID)  # type: ignore[arg-type]
        return SidMapSource(
            folder,
            agree=lambda name, digest: _agreed_sid_map(run, manifest, name, digest),
        )


def test_the_first_agent_records_the_map_and_the_ones_after_it_use_the_same(tmp_path: Path) -> None:
    server = Server()
    (tmp_path / "sids").write_bytes(RULE)
    for _ in range(3):
        assert len(server.source(tmp_path).read(OPTION).rules) == 1
    assert server.status == {"sids": {"configMap": "corp-sids", "digest": DIGEST}}
    assert server.managers == ["smbferry-agent-sid-map"]


def test_a_map_that_was_changed_during_the_run_ends_it(tmp_path: Path) -> None:
    server = Server()
    (tmp_path / "sids").write_bytes(RULE)
    server.source(tmp_path).read(OPTION)
    (tmp_path / "sids").write_bytes(RULE + b"\n")
    with pytest.raises(AgentError, match=f"expected the map with SHA-256 {DIGEST}") as raised:
        server.source(tmp_path).read(OPTION)
    assert raised.value.reason.name == "SidMapChanged"
    (tmp_path / "sids").write_bytes(RULE)
    assert len(server.source(tmp_path).read(OPTION).rules) == 1


def facts(count: int = 2, *, first: int = 0) -> SidFacts:
    numbers = range(first, first + count)
    return SidFacts(
        tuple(SidCount(f"S-1-5-21-1-2-3-{n}", f"S-1-5-21-4-5-6-{n}", 100 - n) for n in numbers),
        tuple(SidCount(f"S-1-5-21-9-9-{n}", "", 50 - n) for n in numbers),
    )


def test_the_status_lists_the_most_frequent_rules_and_domains() -> None:
    report = RunReport()
    report.sids(facts(40))
    told = status_fields(report.status())["sids"]
    assert (len(told["applied"]), len(told["unmapped"])) == (MAX_LISTED_SIDS, MAX_LISTED_SIDS)
    assert told["applied"][0] == {"from": "S-1-5-21-1-2-3-0", "to": "S-1-5-21-4-5-6-0", "descriptors": 100}
    assert told["unmapped"][0] == {"sid": "S-1-5-21-9-9-0", "descriptors": 50}


def test_nothing_found_is_nothing_told() -> None:
    report = RunReport()
    report.sids(SidFacts((), ()))
    assert "sids" not in status_fields(report.status())
    assert sid_status(SidFacts((), ())) is None


def test_the_last_agent_adds_what_the_shards_have_found() -> None:
    shards = []
    for index in range(2):
        report = RunReport()
        report.sids(facts(MAX_SHARD_SIDS + 3))
        shards.append(shard_status(index, report.status(), PhaseState.SUCCEEDED).shards[0])
    assert {len(shard.sids.applied) for shard in shards if shard.sids is not None} == {MAX_SHARD_SIDS}
    manifest = {"status": {"shards": [status_fields(shard) for shard in shards]}}
    last = FinishReport()
    last.begin(manifest, shards_in(manifest))
    last.sids(facts(1))
    told = status_fields(last.status())["sids"]
    assert told["applied"][0]["descriptors"] == 300
    assert told["unmapped"][0]["descriptors"] == 150
    assert len(told["applied"]) == MAX_SHARD_SIDS


def test_a_map_needs_descriptors_to_map() -> None:
    Options.model_validate({"sidMap": OPTION.model_dump(by_alias=True)})
    with pytest.raises(ValueError, match="sidMap requires securityDescriptors"):
        Options.model_validate({"sidMap": OPTION.model_dump(by_alias=True), "securityDescriptors": "None"})
