"""A bundle of a busy cluster helps, and holds no key, ticket, password or Secret."""

from __future__ import annotations

import base64
import json
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from lab.smblab import keytab as keytabs
from lab.support.cluster import objects
from lab.support.cluster.kube import is_, under_way
from lab.support.cluster.leaks import leaks
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted
from tests.documented.run import with_smbferry

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.takes(60)

PASSWORD = "hunter2-of-the-proxy"


@pytest.fixture(scope="module")
def found(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a bundle that was made while a run copied, after one had failed and a key was refused."""
    folder = tmp_path_factory.mktemp("bundle")
    scene.source.seed([Wanted("busy/busy.bin", size=32 << 20)])
    for name in ("busy", "lost"):
        scene.destination.write(f"{name}/before.txt", b"-")
    scene.ready()
    proxy = {"env": [{"name": "EXAMPLE_PROXY", "value": f"http://user:{PASSWORD}@proxy.example.com:3128"}]}
    scene.kube.apply(
        task("busy", "/busy", options={"bytesPerSecond": "1Mi"}, agent=proxy),
        task("lost", "/none/such"),
        objects.secret("cut-keytab", {"keytab": scene.reader.keytab()[:-7]}),
        scene.identity("cut", scene.reader, keytab="cut-keytab"),
    )
    busy = scene.run_of("busy")
    scene.end_of(scene.run_of("lost"))
    scene.kube.wait("kid", "cut", "refused", is_("Ready", "False", "KeytabUnreadable"), timeout=90)
    scene.kube.wait("transferrun", busy, "under way", under_way)
    made = bundle(scene, folder, "-n", scene.kube.namespace)
    scene.kube.patch("transferrun", busy, {"spec": {"cancel": True}})
    scene.end_of(busy)
    return made


def task(name: str, source: str, **spec: object) -> objects.Object:
    made = objects.task(name, SOURCE, DESTINATION, **spec)
    made["spec"]["source"]["path"] = source
    made["spec"]["destination"]["path"] = f"/{name}"
    return made


def bundle(scene: Scene, folder: Path, *options: str) -> dict[str, bytes]:
    """Makes a bundle as a person does."""
    environment = with_smbferry(folder, scene.kube.environment)
    file = folder / f"bundle{''.join(options)}.tar.gz"
    words = ["smbferry", "debug", "bundle", "-o", str(file), *options]
    done = subprocess.run(words, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with tarfile.open(file) as archive:
        entries = [(entry.name.partition("/")[2], archive.extractfile(entry)) for entry in archive]
        return {name: content.read() for name, content in entries if content is not None}


def test_the_bundle_holds_what_helps(found: dict[str, bytes], scene: Scene) -> None:
    index = json.loads(found["index.json"])
    # A pod may be removed, or not have begun, when its log is read.
    assert [entry["what"] for entry in index["missing"] if not entry["what"].startswith("log of ")] == []
    here = scene.kube.namespace
    wanted = {f"objects/{here}/{kind}.json" for kind in ("transfertasks", "transferruns", "jobs", "pods")}
    assert wanted | {f"events/{here}/events.json", "conditions.txt", "versions.json"} <= found.keys()
    logs = b"".join(content for name, content in found.items() if name.startswith(f"logs/{here}/"))
    assert b'"level": "info"' in logs
    assert b"PathNotFound" in found["conditions.txt"]
    assert b"KeytabUnreadable" in found["conditions.txt"]
    operator = {name.rpartition(".")[2] for name in found if name.startswith("operator/")}
    assert {"json", "log", "txt"} <= operator
    assert any(b"smbferry_leader" in content for name, content in found.items() if name.endswith(".metrics.txt"))


def test_the_bundle_holds_no_secret(found: dict[str, bytes], scene: Scene) -> None:
    whole = b"\n".join(found.values())
    keys = {entry.key for user in (scene.reader, scene.writer) for entry in keytabs.parse(user.keytab())}
    secrets = [base64.b64decode(v) for s in scene.kube.list("secrets") for v in (s.get("data") or {}).values()]
    assert len(keys) == 4
    assert len(secrets) >= 3
    assert leaks(whole, [*keys, *secrets, PASSWORD.encode()]) == []
    assert b'"kind": "Secret"' not in whole
    assert b"EXAMPLE_PROXY" in whole, "the search looks where the password was"
    hidden = base64.b64encode(b"x" + next(iter(keys)) + b"yz")
    assert leaks(whole + hidden, keys), "the search finds one that is there"


def test_a_bundle_of_all_namespaces_holds_this_one(found: dict[str, bytes], scene: Scene, tmp_path: Path) -> None:
    everywhere = bundle(scene, tmp_path, "-A")
    assert f"objects/{scene.kube.namespace}/transfertasks.json" in everywhere
    keys = {entry.key for user in (scene.reader, scene.writer) for entry in keytabs.parse(user.keytab())}
    assert leaks(b"\n".join(everywhere.values()), [*keys, PASSWORD.encode()]) == []
