"""What people apply by hand fits its schema too; and the schemas do refuse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.charts import linters

if TYPE_CHECKING:
    from tests.charts.findings import Finding

ROOT = Path(__file__).parents[2]
# Whose kinds stand in examples that show how ours go with them: their schemas are not ours to keep.
FOREIGN = ("argoproj.io", "external-secrets.io", "kustomize.config.k8s.io", "toolkit.fluxcd.io")
IDENTITY = {
    "apiVersion": "smbferry.io/v1alpha1",
    "kind": "KerberosIdentity",
    "metadata": {"name": "svc-src"},
    "spec": {
        "principal": "svc-src@CORP.EXAMPLE.COM",
        "keytabSecretRef": {"name": "svc-src-keytab"},
        "krb5ConfigMapRef": {"name": "corp-krb5"},
    },
}
MONITOR = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "ServiceMonitor",
    "metadata": {"name": "smbferry"},
    "spec": {"selector": {}, "endpoints": [{"port": "metrics", "interval": "30s"}]},
}
CLAIMED = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": 1}}}]},
}


def objects(*folders: str) -> list[dict[str, Any]]:
    found = []
    for folder in folders:
        for file in (ROOT / folder).rglob("*.yaml"):
            found += [d for d in yaml.load_all(file.read_text(encoding="utf-8"), yaml.CSafeLoader) if d]
    return [obj for obj in found if not obj["apiVersion"].partition("/")[0].endswith(FOREIGN)]


def said(folder: Path, schemas: Path, *objs: dict[str, Any]) -> list[Finding]:
    (folder / "objects.yaml").write_text(yaml.safe_dump_all(objs), encoding="utf-8")
    return linters.kubeconform(folder, schemas)


def changed(obj: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {**obj, "spec": {k: v for k, v in {**obj["spec"], **spec}.items() if v is not None}}


def test_examples_crds_and_the_kustomize_base_fit_their_schemas(schemas: Path, tmp_path: Path) -> None:
    found = objects("examples", "crds", "charts/kustomize")
    kinds = {obj["kind"] for obj in found}
    assert kinds >= {"KerberosIdentity", "SmbLocation", "TransferTask", "CustomResourceDefinition", "Deployment"}
    assert said(tmp_path, schemas, *found) == []


def test_the_examples_in_the_charts_annotations_fit_their_schemas(schemas: Path, tmp_path: Path) -> None:
    chart = yaml.safe_load((ROOT / "charts" / "smbferry" / "Chart.yaml").read_text(encoding="utf-8"))
    examples = yaml.safe_load(chart["annotations"]["artifacthub.io/crdsExamples"])
    assert said(tmp_path, schemas, *examples) == []


@pytest.mark.parametrize("good", [IDENTITY, MONITOR, CLAIMED], ids=lambda o: o["kind"])
def test_a_good_object_is_let_through(schemas: Path, tmp_path: Path, good: dict[str, Any]) -> None:
    assert said(tmp_path, schemas, good) == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (changed(IDENTITY, principal=None), "missing property 'principal'"),
        (changed(IDENTITY, keytab="svc.keytab"), "additional properties 'keytab' not allowed"),
        (changed(IDENTITY, checkInterval=60), "got number, want string"),
        (changed(MONITOR, endpoints=[{"port": "m", "every": "30s"}]), "additional properties 'every' not allowed"),
        (changed(MONITOR, selector=None), "missing property 'selector'"),
        (changed(CLAIMED, contaners=[]), "additional properties 'contaners' not allowed"),
        (changed(CLAIMED, containers=None), "missing property 'containers'"),
        ({**CLAIMED, "apiVersion": "v2"}, "could not find schema for Pod"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_bad_object_is_refused(schemas: Path, tmp_path: Path, bad: dict[str, Any], why: str) -> None:
    (finding,) = said(tmp_path, schemas, bad)
    assert why in finding.message
