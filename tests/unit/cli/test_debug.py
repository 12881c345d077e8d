"""`smbferry debug bundle`: what is in it, what never is, and what it says of what it could not read."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import stat
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.cluster.leaks import leaks
from tests.unit.cli.fake_api import FakeApi, called, obj, ready, run, task

from smbferry_cli.bundle.archive import Contents, packed
from smbferry_cli.bundle.redact import REMOVED, cleaned, scrubbed
from smbferry_cli.exits import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "hunter2-hunter2"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl"
LABELS = {"app.kubernetes.io/managed-by": "smbferry-operator"}
EVERYTHING = "debug bundle -o out.tar.gz"


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pod(name: str, namespace: str, container: str, labels: dict[str, str], restarts: int = 0) -> dict[str, Any]:
    env = [{"name": "HTTPS_PROXY", "value": PASSWORD}, {"name": "SMBFERRY_LOG_LEVEL", "value": "info"}]
    image = f"smbferry/{container}:1"
    return {
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": namespace, "labels": labels, "managedFields": [1],
            "annotations": {"example.com/note": PASSWORD, "smbferry.io/owner-name": "nightly-1"},
        },
        "spec": {"containers": [{"name": container, "image": image, "env": env}]},
        "status": {"containerStatuses": [{"name": container, "restartCount": restarts}]},
    }  # fmt: skip


def event(name: str, kind: str, about: str) -> dict[str, Any]:
    return {
        "kind": "Event",
        "metadata": {"name": name, "namespace": "ferry"},
        "involvedObject": {"kind": kind, "name": about, "namespace": "ferry"},
        "message": f"about {about}",
    }


def cluster(**options: Any) -> FakeApi:
    """A task whose agents have a variable with a password, and everything around it."""
    spec = {"agent": {"env": [{"name": "HTTPS_PROXY", "value": f"http://u:{PASSWORD}@proxy"}]}}
    api = FakeApi(
        task("nightly", **spec), run("nightly-1", "Succeeded", conditions=[ready("True", "X", "line\nbreak")]),
        obj("KerberosIdentity", "svc-src"), obj("SmbLocation", "source"),
        {"kind": "Job", "metadata": {"name": "xrun-1", "namespace": "ferry", "labels": LABELS},
         "spec": {"template": pod("x", "ferry", "agent", {})}},
        pod("p1", "ferry", "agent", LABELS),
        pod("op", "smbferry-system", "operator", {"app.kubernetes.io/component": "operator"}, restarts=1),
        pod("stranger", "ferry", "app", {}),
        event("e1", "TransferRun", "nightly-1"), event("e2", "Pod", "p1"), event("e3", "Pod", "stranger"),
        {"kind": "Secret", "metadata": {"name": "svc-src-keytab", "namespace": "ferry"}, "data": {"keytab": PASSWORD}},
        **options,
    )  # fmt: skip
    api.logs = {
        "p1": f'{{"message": "one"}}\nproxy http://u:{PASSWORD}@proxy/ Bearer {TOKEN}\n'.encode(),
        "op": b"operator\n",
    }
    return api


def read(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        return {
            entry.name.partition("/")[2]: found.read()
            for entry in archive
            if (found := archive.extractfile(entry)) is not None
        }


def test_a_bundle_holds_objects_conditions_events_logs_figures_and_versions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(cluster(), EVERYTHING) == 0
    found = read(tmp_path / "out.tar.gz")

    assert set(found) == {
        "index.json", "conditions.txt", "versions.json",
        "objects/ferry/transfertasks.json", "objects/ferry/transferruns.json",
        "objects/ferry/kerberosidentities.json", "objects/ferry/smblocations.json",
        "objects/ferry/jobs.json", "objects/ferry/pods.json", "events/ferry/events.json",
        "logs/ferry/p1.log", "operator/op.json", "operator/op.log", "operator/op.previous.log",
        "operator/op.metrics.txt",
    }  # fmt: skip
    assert b"ferry TransferRun/nightly-1 Ready True X 2026-11-21T19:00:00Z" in found["conditions.txt"]
    assert found["conditions.txt"].count(b"\n") == 1
    assert [e["metadata"]["name"] for e in json.loads(found["events/ferry/events.json"])] == ["e1", "e2"]
    assert found["operator/op.metrics.txt"] == b"smbferry_leader 1.0\n"
    versions = json.loads(found["versions.json"])
    assert versions["kubernetes"] == "v1.34.0"
    assert versions["images"] == {"smbferry/agent:1": 1, "smbferry/operator:1": 1}
    captured = capsys.readouterr()
    assert captured.out == "out.tar.gz\n"
    assert captured.err == "smbferry: 14 files. Look through them before you pass them on.\n"


def test_the_index_lists_every_file_with_its_digest(tmp_path: Path) -> None:
    called(cluster(), EVERYTHING)
    found = read(tmp_path / "out.tar.gz")
    index = json.loads(found.pop("index.json"))

    assert index["missing"] == []
    assert {entry["path"]: entry["sha256"] for entry in index["files"]} == {
        path: hashlib.sha256(content).hexdigest() for path, content in found.items()
    }
    assert (index["namespace"], index["operatorNamespace"]) == ("ferry", "smbferry-system")


def test_nothing_secret_is_in_it_and_no_secret_is_asked_for(tmp_path: Path) -> None:
    api = cluster()
    called(api, EVERYTHING)
    whole = b"\n".join(read(tmp_path / "out.tar.gz").values())

    assert leaks(whole, [PASSWORD.encode(), TOKEN.encode()]) == []
    assert {resource for _, resource, _ in api.asked}.isdisjoint({"secrets", "configmaps"})
    assert b"HTTPS_PROXY" in whole
    assert json.loads(read(tmp_path / "out.tar.gz")["objects/ferry/pods.json"])[0]["metadata"]["annotations"] == {
        "smbferry.io/owner-name": "nightly-1"
    }
    hidden = base64.b64encode(b"x" + PASSWORD.encode() + b"yz")
    assert leaks(whole + hidden, [PASSWORD.encode()]), "the search finds one that is there"


def test_only_the_user_can_read_the_file(tmp_path: Path) -> None:
    called(cluster(), EVERYTHING)
    assert stat.S_IMODE((tmp_path / "out.tar.gz").stat().st_mode) == 0o600


def test_the_name_of_the_file_has_the_time(tmp_path: Path) -> None:
    called(cluster(), "debug bundle")
    (file,) = tmp_path.glob("smbferry-debug-*.tar.gz")
    with tarfile.open(file) as archive:
        assert archive.getnames()[0] == f"{file.name.removesuffix('.tar.gz')}/index.json"


@pytest.mark.parametrize(
    ("denied", "without", "still"),
    [
        (("get", "pods/log"), "log of ferry/p1", "objects/ferry/pods.json"),
        (("get", "pods/proxy"), "metrics of op", "operator/op.log"),
        (("list", "events"), "events", "logs/ferry/p1.log"),
        (("list", "jobs"), "Jobs of agents", "objects/ferry/pods.json"),
        (("list", "transferruns"), "transferruns", "objects/ferry/transfertasks.json"),
        (("list", "pods"), "the operator's pods", "objects/ferry/transferruns.json"),
        (("get", "version"), "version of Kubernetes", "versions.json"),
    ],
)
def test_what_may_not_be_read_is_listed_and_the_rest_is_there(
    denied: tuple[str, str], without: str, still: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(cluster(denied=frozenset({denied})), EVERYTHING) == 0
    found = read(tmp_path / "out.tar.gz")

    missing = json.loads(found["index.json"])["missing"]
    assert without in [entry["what"] for entry in missing]
    assert all(entry["why"] for entry in missing)
    assert still in found
    assert f"smbferry: without {without}: " in capsys.readouterr().err


def test_without_any_object_there_is_no_bundle(tmp_path: Path) -> None:
    plurals = ("kerberosidentities", "smblocations", "transfertasks", "transferruns")
    with pytest.raises(ClusterError, match="you may not list"):
        called(cluster(denied=frozenset(("list", plural) for plural in plurals)), EVERYTHING)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out.tar.gz").write_text("mine")
    with pytest.raises(ClusterError, match=r'cannot write "out\.tar\.gz": File exists; choose another file with -o'):
        called(cluster(), EVERYTHING)
    assert (tmp_path / "out.tar.gz").read_text() == "mine"


def test_logs_are_bounded() -> None:
    api = cluster()
    called(api, f"{EVERYTHING} --tail 7")
    asked = [request.query for request in api.requests if request.resource == "pods/log"]

    assert [(query["tailLines"], query["limitBytes"]) for query in asked] == [("7", "1048576")] * 3
    assert [query.get("previous") for query in asked] == [None, None, "true"]


def test_the_same_content_is_the_same_file_in_whatever_order_it_came() -> None:
    one, other = Contents(), Contents()
    for contents, names in ((one, "ab"), (other, "ba")):
        for name in names:
            contents.add(name, name)
    assert packed("f", one, {}) == packed("f", other, {})
    with tarfile.open(fileobj=io.BytesIO(packed("f", one, {}))) as archive:
        assert archive.getnames() == ["f/index.json", "f/a", "f/b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pass@host/x", f"https://{REMOVED}@host/x"),
        ("https://host/a@b", "https://host/a@b"),
        (f"token {TOKEN}.", f"token {REMOVED}."),
        ("Authorization: Bearer abcdefgh12345", f"Authorization: Bearer {REMOVED}"),
        ("key whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", f"key {REMOVED}"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nb", f"a\n{REMOVED}\nb"),
        (
            "the KDC refused key version 3 of svc@CORP.EXAMPLE.COM",
            "the KDC refused key version 3 of svc@CORP.EXAMPLE.COM",
        ),
    ],
)
def test_what_looks_like_a_secret_is_removed_from_texts(text: str, expected: str) -> None:
    assert scrubbed(text) == expected


VARIABLES: list[tuple[str, Any, Any]] = [
    ("an object", {"name": "A", "value": "x"}, {"name": "A", "value": REMOVED}),
    ("a setting", {"name": "SMBFERRY_RUNS", "value": "100"}, {"name": "SMBFERRY_RUNS", "value": "100"}),
    ("a reference", {"name": "A", "valueFrom": {"fieldRef": {}}}, {"name": "A", "valueFrom": {"fieldRef": {}}}),
    ("no object", "A=x", REMOVED),
]


@pytest.mark.parametrize(("_what", "given", "expected"), VARIABLES, ids=[case[0] for case in VARIABLES])
def test_values_of_variables_are_removed_wherever_they_stand(_what: str, given: Any, expected: Any) -> None:
    def deep(env: Any) -> dict[str, Any]:
        return {"metadata": {"name": "x"}, "status": {"task": [{"env": [env]}]}}

    assert cleaned(deep(given)) == deep(expected)
