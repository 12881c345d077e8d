"""Manifests from files are read as a cluster would take them, and refused with the place and the reason."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from smbferry_api.task import wanted_snapshot
from smbferry_cli.manifests import ManifestError, load

EXAMPLES = Path(__file__).parents[3] / "examples" / "basic"
SECRETS = """
apiVersion: v1
kind: Secret
metadata: {name: svc-src-keytab}
data:
  keytab: |
    BQIA
    AAA=
---
apiVersion: v1
kind: Secret
metadata: {name: svc-dst-keytab}
stringData: {keytab: abc}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "manifest.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_examples_resolve_to_a_task(tmp_path: Path) -> None:
    found = load([EXAMPLES, write(tmp_path, SECRETS)])
    task = found.resolve("nightly")
    assert task.source.identity.spec.principal == "svc-src@CORP.EXAMPLE.COM"
    assert task.destination.spec.share == "dst"
    assert task.source.full_path == "/demo"
    assert found.secrets["svc-src-keytab"]["keytab"] == b"\x05\x02\x00\x00\x00"
    assert b"CORP.EXAMPLE.COM" in found.config_maps["corp-krb5"]["krb5.conf"]


@pytest.mark.parametrize("written", ["2026-11-21T12:00:00Z", "'2026-11-21T12:00:00Z'", "2026-11-21T13:00:00+01:00"])
def test_a_snapshot_may_be_written_with_and_without_quotes(tmp_path: Path, written: str) -> None:
    task = (EXAMPLES / "40-task.yaml").read_text()
    text = task.replace("locationRef: {name: source}", f"locationRef: {{name: source}}\n    snapshot: {written}")
    others = [path for path in EXAMPLES.iterdir() if path.name != "40-task.yaml"]
    found = load([*others, write(tmp_path, f"{SECRETS}\n---\n{text}")]).resolve("nightly")
    assert wanted_snapshot(found.source_snapshot) == datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_objects_of_others_are_let_be(tmp_path: Path) -> None:
    found = load([write(tmp_path, "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\n---\n")])
    assert found == type(found)()


TASK = """
apiVersion: smbferry.io/v1alpha1
kind: TransferTask
metadata: {name: t}
spec: {source: {locationRef: {name: a}}, destination: {locationRef: {name: b}}}
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not readable as YAML"),
        ("just text", "expected a Kubernetes object"),
        ("kind: Secret\napiVersion: v1\n", "metadata.name is missing"),
        ("kind: Secret\napiVersion: v1\nmetadata: {name: s}\ndata: {k: '!!!'}", "data.k is not base64"),
        (TASK.replace("TransferTask", "TransferTsk"), "expected KerberosIdentity"),
        (TASK.replace("source", "sauce"), "spec.source: required field is missing"),
        (TASK + "---" + TASK, "same name"),
        (TASK.replace("name: b", "name: a"), "same folder"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ManifestError, match=r"manifest\.yaml") as raised:
        load([path])
    assert said in str(raised.value)


def test_a_secret_that_is_not_base64_is_not_repeated(tmp_path: Path) -> None:
    path = write(tmp_path, "kind: Secret\napiVersion: v1\nmetadata: {name: s}\ndata: {k: 'hunter2!'}")
    with pytest.raises(ManifestError) as raised:
        load([path])
    assert "hunter2" not in str(raised.value)


def test_a_reference_to_what_is_not_there_names_both(tmp_path: Path) -> None:
    found = load([write(tmp_path, TASK)])
    with pytest.raises(ManifestError, match="SmbLocation a, named by TransferTask t, is not in the files; found: none"):
        found.resolve("t")
    with pytest.raises(ManifestError, match="found: t"):
        found.resolve("other")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no such file"):
        load([tmp_path / "missing.yaml"])
