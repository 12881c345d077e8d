"""What linters and schemas say of the chart, with each of the files in values/."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from charts.kustomize.render import CHART
from tests.charts import linters
from tests.charts.combinations import FILES
from tests.charts.findings import accepted, remaining, unneeded

if TYPE_CHECKING:
    from pathlib import Path

    from tests.charts.combinations import Rendered
    from tests.charts.findings import Finding


@pytest.fixture(scope="session")
def findings(combinations: list[Rendered], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Finding]]:
    """Of each linter that has opinions."""
    return {
        "kube-score": linters.kube_score(combinations),
        "checkov": linters.checkov(combinations, tmp_path_factory.mktemp("checkov")),
    }


def test_helm_lints_every_combination() -> None:
    for values in FILES:
        said = subprocess.run(
            ["helm", "lint", "--strict", "--kube-version", "1.34.0", str(CHART), "--values", str(values)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert said.returncode == 0, f"{values.name}: {said.stdout}{said.stderr}"


def test_every_object_fits_its_schema(combinations: list[Rendered], schemas: Path, tmp_path: Path) -> None:
    for one in combinations:
        (tmp_path / f"{one.name}.yaml").write_text(one.text, encoding="utf-8")
    assert linters.kubeconform(tmp_path, schemas) == []


@pytest.mark.parametrize("tool", ["kube-score", "checkov"])
def test_a_linter_finds_nothing_but_what_is_accepted_for_a_reason(
    findings: dict[str, list[Finding]], tool: str
) -> None:
    left = remaining(findings[tool], accepted(tool))
    assert left == [], "\n".join(str(finding) for finding in left)


@pytest.mark.parametrize("tool", ["kube-score", "checkov"])
def test_nothing_is_accepted_that_no_linter_says(findings: dict[str, list[Finding]], tool: str) -> None:
    assert unneeded(findings[tool], accepted(tool)) == []
