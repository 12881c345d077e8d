"""What Artifact Hub shows of the chart is what the chart is."""

import tomllib
from pathlib import Path
from typing import Any

import yaml

from smbferry_api.crd import KINDS

CHART = yaml.safe_load((Path(__file__).parents[3] / "charts" / "smbferry" / "Chart.yaml").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((Path(__file__).parents[3] / "charts" / "smbferry" / "values.yaml").read_text(encoding="utf-8"))


def annotation(name: str) -> Any:
    return yaml.safe_load(CHART["annotations"][f"artifacthub.io/{name}"])


def test_every_kind_is_named_and_has_an_example() -> None:
    named = {(crd["kind"], crd["name"].partition(".")[0]) for crd in annotation("crds")}
    assert named == {(kind.kind, kind.plural) for kind in KINDS}
    assert [example["kind"] for example in annotation("crdsExamples")] == [crd["kind"] for crd in annotation("crds")]


def test_the_images_are_those_that_are_installed() -> None:
    named = {image["name"]: image["image"] for image in annotation("images")}
    installed = {name: f"{VALUES['image'][name]['repository']}:{CHART['appVersion']}" for name in ("operator", "agent")}
    assert named == installed


def test_chart_images_and_code_have_one_version() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    assert CHART["version"] == CHART["appVersion"] == project["project"]["version"]
