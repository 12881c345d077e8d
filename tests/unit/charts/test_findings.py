"""Findings are accepted for a reason, by tool, check, object and combination."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.charts.findings import TABLE, Acceptance, Finding, accepted, remaining, unneeded

FINDING = Finding("checkov", "CKV_K8S_22", "Deployment/smbferry-operator", "defaults", "use a read-only root")
ACCEPTANCE = Acceptance(
    "checkov", "CKV_K8S_22", ["Deployment/smbferry-operator"], "it writes there", ("defaults", "sized")
)


@pytest.mark.parametrize(
    ("other", "covered"),
    [
        ({}, True),
        ({"message": "in other words"}, True),
        ({"combination": "sized"}, True),
        ({"combination": "labelled"}, False),
        ({"tool": "kube-score"}, False),
        ({"check": "CKV_K8S_2"}, False),
        ({"object": "Pod/smbferry-operator"}, False),
    ],
)
def test_an_acceptance_covers_what_it_names(other: dict[str, str], *, covered: bool) -> None:
    assert ACCEPTANCE.covers(replace(FINDING, **other)) is covered


def test_an_acceptance_may_hold_for_all_combinations_or_all_but_some() -> None:
    assert replace(ACCEPTANCE, combinations=()).covers(FINDING)
    assert not replace(ACCEPTANCE, combinations=(), but=("defaults",)).covers(FINDING)


def test_what_is_not_accepted_remains_once() -> None:
    other = replace(FINDING, combination="labelled")
    assert remaining([FINDING, other, other], [ACCEPTANCE]) == [other]


def test_an_acceptance_of_nothing_is_unneeded() -> None:
    other = replace(ACCEPTANCE, check="CKV_K8S_23")
    assert unneeded([FINDING], [ACCEPTANCE, other]) == [other]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("{tool: t, check: c, objects: [o], reason: ' '}", "every entry says why"),
        ("{tool: t, check: c, objects: [o]}", "missing .* 'reason'"),
        ("{tool: t, check: c, objects: [o], reason: r, file: f}", "unexpected keyword argument 'file'"),
    ],
)
def test_an_entry_that_gives_no_reason_is_refused(tmp_path: Path, entry: str, why: str) -> None:
    table = tmp_path / "accepted.yaml"
    table.write_text(f"- {entry}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=why):
        accepted("t", table)


def test_the_table_is_of_the_linters_that_are_run() -> None:
    assert {entry["tool"] for entry in yaml.safe_load(TABLE.read_text(encoding="utf-8"))} == {"kube-score", "checkov"}
