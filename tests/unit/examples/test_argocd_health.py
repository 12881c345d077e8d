"""Argo CD's health of our objects: the Lua of the example, run on the states that the operator leaves behind."""

from pathlib import Path
from typing import Any

import lupa
import pytest
import yaml
from tests.support.states import STATES, expected

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "gitops" / "argocd" / "argocd-cm.yaml"
SUSPENDED = "no new runs start while spec.suspend is true"
UNSEEN = "smbferry has not seen the newest spec yet"


def health(obj: dict[str, Any]) -> dict[str, str]:
    """What Argo CD would show of an object."""
    data = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["data"]
    script = data[f"resource.customizations.health.smbferry.io_{obj['kind']}"]
    runtime = lupa.LuaRuntime(unpack_returned_tuples=True)
    runtime.globals()["obj"] = runtime.table_from(obj, recursive=True)
    return dict(runtime.execute(script))


@pytest.mark.parametrize(("kind", "state", "verdict"), expected("argocd"))
def test_argo_cd_says_of_each_state_what_the_table_says(kind: str, state: str, verdict: str) -> None:
    assert health(STATES[kind][state])["status"] == verdict


@pytest.mark.parametrize(("kind", "state", "verdict"), expected("argocd"))
def test_the_message_is_a_conditions_own_or_tells_what_is_waited_for(kind: str, state: str, verdict: str) -> None:
    obj = STATES[kind][state]
    said = health(obj)["message"]
    if verdict == "Suspended":
        assert said == SUSPENDED
    elif obj["status"]["observedGeneration"] != obj["metadata"]["generation"]:
        assert said == UNSEEN
    else:
        assert said in {condition["message"] for condition in obj["status"]["conditions"]}


@pytest.mark.parametrize("kind", STATES)
def test_an_object_without_any_status_is_progressing(kind: str) -> None:
    assert health({"kind": kind, "metadata": {"generation": 1}, "spec": {}})["status"] == "Progressing"
