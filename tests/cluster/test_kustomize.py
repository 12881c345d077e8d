"""The kustomize base installs what the chart installs."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from types import ModuleType

    from lab.support.cluster.kube import Kube

BASE = Path(__file__).resolve().parents[2] / "charts" / "kustomize"


def renderer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render", BASE / "render.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_name(documents: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(d["kind"], d["metadata"]["name"]): d for d in documents if d["kind"] != "Namespace"}


@pytest.fixture(autouse=True)
def helm_on_the_path(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", environment["PATH"])


def test_kustomize_and_helm_give_the_same_objects(kube: Kube) -> None:
    render = renderer()
    chart = by_name([render.without_helm(d) for d in render.helm_template()])
    base = by_name(list(yaml.safe_load_all(kube.kubectl("kustomize", str(BASE)))))
    for kind, name in chart:
        if kind == "CustomResourceDefinition":  # the chart labels them
            chart[kind, name]["metadata"] = {"name": name}
    assert set(base) == set(chart)
    assert base == chart


def test_the_committed_base_is_the_rendered_one() -> None:
    assert (BASE / "smbferry.yaml").read_text(encoding="utf-8") == renderer().render()


def test_the_api_server_takes_the_base(kube: Kube) -> None:
    rendered = kube.kubectl("kustomize", str(BASE))
    said = subprocess.run(
        ["kubectl", "apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-"],
        input=rendered, capture_output=True, text=True, check=True, env=kube.environment,
    )  # fmt: skip
    assert said.stdout.count("serverside-applied") == rendered.count("\nkind: ") + rendered.startswith("kind: ")
