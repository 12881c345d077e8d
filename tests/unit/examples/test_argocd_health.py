"""Argo CD's health of our objects: the Lua of the example, run on the states that the operator leaves behind."""

from pathlib import Path
from typing import Any

import lupa
import pytest
import yaml

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "gitops" / "argocd" / "argocd-cm.yaml"
KINDS = ("KerberosIdentity", "SmbLocation", "TransferTask", "TransferRun")


def health(obj: dict[str, Any]) -> dict[str, str]:
    """What Argo CD would show of an object."""
    data = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["data"]
    script = data[f"resource.customizations.health.smbferry.io_{obj['kind']}"]
    runtime = lupa.LuaRuntime(unpack_returned_tuples=True)
    runtime.globals()["obj"] = runtime.table_from(obj, recursive=True)
    return dict(runtime.execute(script))


def thing(kind: str, *conditions: tuple[str, str], observed: int = 3, **spec: Any) -> dict[str, Any]:
    """An object of generation 3; each condition is a type and a status, its message names both."""
    return {
        "kind": kind,
        "metadata": {"generation": 3},
        "spec": spec,
        "status": {
            "observedGeneration": observed,
            "conditions": [{"type": t, "status": s, "message": f"{t} is {s}"} for t, s in conditions],
        },
    }


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_that_nobody_has_looked_at_is_progressing(kind: str) -> None:
    assert health({"kind": kind, "metadata": {"generation": 1}, "spec": {}})["status"] == "Progressing"


@pytest.mark.parametrize("kind", KINDS)
def test_an_older_verdict_says_nothing_of_the_newest_spec(kind: str) -> None:
    verdict = "Succeeded" if kind == "TransferRun" else "Ready"
    assert health(thing(kind, (verdict, "True"), observed=2))["status"] == "Progressing"


@pytest.mark.parametrize(
    ("obj", "status", "message"),
    [
        (thing("KerberosIdentity", ("Ready", "True")), "Healthy", "Ready is True"),
        (
            thing("KerberosIdentity", ("Ready", "Unknown"), ("Reconciling", "True")),
            "Progressing",
            "Reconciling is True",
        ),
        (thing("KerberosIdentity", ("Ready", "False")), "Degraded", "Ready is False"),
        (thing("KerberosIdentity", ("Ready", "False"), ("Stalled", "True")), "Degraded", "Stalled is True"),
        (thing("KerberosIdentity", ("Ready", "True"), ("KvnoMismatch", "True")), "Healthy", "Ready is True"),
        (thing("SmbLocation", ("Ready", "True"), ("Encrypted", "True")), "Healthy", "Ready is True"),
        (thing("SmbLocation", ("Ready", "False"), ("Encrypted", "False")), "Degraded", "Ready is False"),
        (thing("TransferTask", ("Ready", "True"), ("InSync", "False")), "Healthy", "Ready is True"),
        (thing("TransferTask", ("Ready", "True"), ("Stalled", "True")), "Degraded", "Stalled is True"),
        (thing("TransferTask", ("Ready", "Unknown"), ("Reconciling", "True")), "Progressing", "Reconciling is True"),
        (
            thing("TransferTask", ("Ready", "True"), suspend=True),
            "Suspended",
            "no new runs start while spec.suspend is true",
        ),
        (thing("TransferTask", ("Ready", "False"), suspend=True), "Degraded", "Ready is False"),
        (thing("TransferRun", ("Succeeded", "Unknown"), ("Reconciling", "True")), "Progressing", "Reconciling is True"),
        (thing("TransferRun", ("Succeeded", "True")), "Healthy", "Succeeded is True"),
        (thing("TransferRun", ("Succeeded", "False")), "Degraded", "Succeeded is False"),
        (thing("TransferRun", ("Succeeded", "False"), ("Stalled", "True")), "Degraded", "Stalled is True"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_health_says_what_the_conditions_say(obj: dict[str, Any], status: str, message: str) -> None:
    assert health(obj) == {"status": status, "message": message}
