"""Flux's verdict on our objects, by kstatus itself, in the states that the operator leaves behind."""

from __future__ import annotations

import json
import subprocess

import pytest
from tests.support.states import STATES, expected

Verdicts = dict[tuple[str, str], dict[str, str]]


@pytest.fixture(scope="session")
def verdicts(programs: None) -> Verdicts:
    """What kstatus says, by kind and state."""
    del programs
    keys = [(kind, state) for kind, states in STATES.items() for state in states]
    objects = json.dumps([STATES[kind][state] for kind, state in keys])
    said = subprocess.run(["kstatus"], input=objects, capture_output=True, text=True, check=True).stdout
    return dict(zip(keys, json.loads(said), strict=True))


@pytest.mark.parametrize(("kind", "state", "verdict"), expected("kstatus"))
def test_flux_says_of_each_state_what_the_table_says(verdicts: Verdicts, kind: str, state: str, verdict: str) -> None:
    assert verdicts[kind, state]["status"] == verdict


@pytest.mark.parametrize(("kind", "state", "verdict"), expected("kstatus"))
def test_what_failed_says_why_in_the_operators_words(verdicts: Verdicts, kind: str, state: str, verdict: str) -> None:
    said = verdicts[kind, state]["message"]
    assert said
    if verdict == "Failed":
        (stalled,) = (c for c in STATES[kind][state]["status"]["conditions"] if c["type"] == "Stalled")
        assert said == stalled["message"]


def test_what_is_no_object_is_refused() -> None:
    said = subprocess.run(["kstatus"], input='[{"a": 1}]', capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr.startswith("kstatus: object 0: ")
