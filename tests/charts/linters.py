"""The linters of manifests, called on every combination at once; what they say becomes findings."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any, Final

import yaml
from charts.kustomize.render import KUBERNETES
from tests.charts.findings import Finding
from tests.charts.schemas import LOCATION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.charts.combinations import Rendered

# kube-score's grades: 1 critical, 5 warning, 7 almost, 10 good.
GOOD: Final = 10


def kubeconform(folder: Path, schemas: Path) -> list[Finding]:
    """What does not fit its schema in the files of a folder, whose names are those of the combinations."""
    location = ["-schema-location", f"{schemas}/{LOCATION}"]
    said = _output(["kubeconform", "-strict", "-output", "json", *location, str(folder)], fine=(0, 1))
    found = []
    for resource in json.loads(said)["resources"] or []:
        name = f"{resource['kind']}/{resource['name']}"
        file = resource["filename"].rpartition("/")[2].removesuffix(".yaml")
        found.append(Finding("kubeconform", resource["status"], name, file, resource["msg"]))
    return found


def kube_score(combinations: Sequence[Rendered]) -> list[Finding]:
    """What kube-score would do otherwise. It judges objects that belong together: one call for each combination."""
    found = []
    version = "v" + KUBERNETES.rpartition(".")[0]
    for one in combinations:
        command = ["kube-score", "score", "--output-format", "json", "--kubernetes-version", version, "-"]
        said = _output(command, fine=(0, 1), stdin=yaml.safe_dump_all(one.own_objects))
        for obj in json.loads(said):
            name = f"{obj['type_meta']['kind']}/{obj['object_meta']['name']}"
            bad = [check for check in obj["checks"] if not check["skipped"] and check["grade"] < GOOD]
            found += [
                Finding("kube-score", check["check"]["id"], name, one.name, comment["summary"])
                for check in bad
                for comment in check["comments"]
            ]
    return found


def checkov(combinations: Sequence[Rendered], folder: Path) -> list[Finding]:
    """Which of checkov's policies for Kubernetes are not met; `folder` is empty and becomes its input."""
    for one in combinations:
        (folder / f"{one.name}.yaml").write_text(yaml.safe_dump_all(one.own_objects), encoding="utf-8")
    command = ["checkov", "--directory", str(folder), "--framework", "kubernetes", "--output", "json"]
    report: dict[str, Any] = json.loads(_output([*command, "--compact", "--skip-download", "--soft-fail"], fine=(0,)))
    if report["summary"]["parsing_errors"]:
        raise AssertionError(f"checkov could not read {report['results']['parsing_errors']}")
    found = []
    for check in report["results"]["failed_checks"]:
        kind, *_, name = check["resource"].split(".", 2)
        file = check["file_path"].rpartition("/")[2].removesuffix(".yaml")
        found.append(Finding("checkov", check["check_id"], f"{kind}/{name}", file, check["check_name"]))
    return found


def _output(command: Sequence[str], *, fine: Sequence[int], stdin: str | None = None) -> str:
    """Standard output of a linter; `fine` are the exit codes with which it has judged.

    Raises:
        AssertionError: it ended with another.
    """
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode not in fine:
        raise AssertionError(f"{command[0]} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout
