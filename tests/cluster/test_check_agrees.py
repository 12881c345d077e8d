"""`smbferry check` says what the cluster says of the same manifests; what kubectl describes of them is kept."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from lab.support.cluster import objects
from lab.support.cluster.chart import ROOT
from lab.support.cluster.kube import Kube, KubectlError, condition
from lab.support.environment import LAB

from smbferry_api.conditions import IDENTITY_CHECKS, LOCATION_CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.support.cluster.kube import Object
    from lab.support.cluster.scene import Scene

pytestmark = pytest.mark.takes(80)

KID, LOC = "KerberosIdentity", "SmbLocation"
REPORTS = ROOT / "build" / "reports" / "describe"
SOURCES = ":".join(str(ROOT / part / "src") for part in ("crds", "agent_image", "cli"))
WELL, NO_CHECK = "ChecksPassed", "IdentityNotReady"
VERDICT_SECONDS = 30

# What each object is found to be: its kind, and the reason of Ready.
EXPECTED = {
    "good": (KID, WELL),
    "stale": (KID, "KeytabStale"),
    "wrong-case": (KID, "PrincipalCaseMismatch"),
    "unknown": (KID, "PrincipalUnknown"),
    "loading": (KID, "Krb5ConfigRefused"),
    "no-kdc": (KID, "KdcRefused"),
    "good-share": (LOC, WELL),
    "no-share": (LOC, "ShareNotFound"),
    "no-path": (LOC, "PathNotFound"),
    "no-encryption": (LOC, "EncryptionNotSupported"),
    "old-dialect": (LOC, "DialectRefused"),
    "no-name": (LOC, "NameNotFound"),
    "closed-port": (LOC, "ServerRefused"),
    "stale-identity": (LOC, "IdentityNotReady"),
    "wrong-service": (LOC, "ServicePrincipalUnknown"),
}


@pytest.fixture(scope="module")
def manifests(scene: Scene) -> Iterator[list[Object]]:
    """Good ones and bad ones, as they would lie in one folder."""
    domain, reader = scene.domain, scene.reader
    realm = domain.realm
    with domain.user("src-readers") as changed:
        stale = objects.secret("stale-keytab", {"keytab": changed.keytab()})
        domain.set_password(changed.name)
        nobody = f"nobody-{secrets.token_hex(3)}@{realm}"
        yield [
            objects.krb5("krb5", realm, domain.address),
            objects.krb5("loading-krb5", realm, domain.address, extra="  plugin_base_dir = /tmp\n"),
            objects.krb5("no-kdc-krb5", realm, f"{domain.address}:1"),
            objects.secret("good-keytab", {"keytab": reader.keytab()}),
            stale,
            objects.secret("unknown-keytab", {"keytab": domain.make_keytab(nobody, "a password of nobody", kvno=1)}),
            scene.identity("good", reader),
            scene.identity("stale", changed),
            scene.identity("wrong-case", reader, principal=reader.principal.replace("t-", "T-"), keytab="good-keytab"),
            scene.identity("unknown", reader, principal=nobody),
            scene.identity("loading", reader, keytab="good-keytab", config="loading-krb5"),
            scene.identity("no-kdc", reader, keytab="good-keytab", config="no-kdc-krb5"),
            scene.location("good-share", "src", "good", path=scene.source.path),
            scene.location("no-share", "nosuchshare", "good"),
            scene.location("no-path", "src", "good", path="/no/such/folder"),
            scene.location("no-encryption", "src", "good", port=1445),
            scene.location("old-dialect", "src", "good", port=1446),
            scene.location("closed-port", "src", "good", port=1447),
            objects.location("no-name", f"nosuch.{realm.lower()}", "src", "good", nameservers=scene.nameservers),
            scene.location("stale-identity", "src", "stale"),
            scene.location("wrong-service", "src", "good", servicePrincipal=f"cifs/nosuch.{realm.lower()}"),
        ]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Within the repository, which the tools container sees; it holds keys, so it does not stay."""
    made = ROOT / "build" / f"check-agrees-{secrets.token_hex(4)}"
    made.mkdir(parents=True, mode=0o700)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def applied(scene: Scene, manifests: list[Object]) -> None:
    """They are in the cluster, whose checks go on while the command makes its own."""
    scene.kube.apply(*manifests)


@pytest.fixture(scope="module")
def by_check(manifests: list[Object], folder: Path, applied: None) -> dict[str, Object]:
    """The objects as `smbferry check -o json` shows them."""
    (folder / "all.yaml").write_text(yaml.safe_dump_all(manifests))
    ended = run_check(folder / "all.yaml")
    assert ended.stdout, ended.stderr
    return {item["metadata"]["name"]: item for item in json.loads(ended.stdout)["items"]}


@pytest.fixture(scope="module")
def by_cluster(scene: Scene, applied: None) -> dict[str, Object]:
    """The objects as the cluster has them, once each has been judged."""
    found = {}
    for name, (kind, reason) in EXPECTED.items():
        found[name] = scene.kube.wait(kind, name, f"judged {reason}", judged(reason), timeout=240)
    describe(scene.kube)
    return found


def run_check(file: Path) -> subprocess.CompletedProcess[str]:
    command = ["env", f"PYTHONPATH={SOURCES}", "python3", "-m", "smbferry_cli.main", "check", str(file), "-o", "json"]
    return subprocess.run(
        [str(LAB), "tools", "--", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def judged(reason: str) -> Any:
    return lambda obj: condition(obj, "Ready").get("reason") == reason


def describe(kube: Kube) -> None:
    """Keeps what a person would read."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    for name, (kind, _) in EXPECTED.items():
        (REPORTS / f"{kind.lower()}-{name}.txt").write_text(kube.kubectl("describe", kind, name))


def verdicts(obj: Object) -> dict[str, tuple[str, str]]:
    """Status and reason by type, of the conditions that a check finds."""
    checks = IDENTITY_CHECKS if obj["kind"] == KID else LOCATION_CHECKS
    found = obj.get("status", {}).get("conditions", [])
    return {c["type"]: (c["status"], c["reason"]) for c in found if c["type"] in checks}


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "stale-identity"])
def test_every_condition_is_the_same(by_check: dict[str, Object], by_cluster: dict[str, Object], name: str) -> None:
    expected = verdicts(by_cluster[name])
    checks = IDENTITY_CHECKS if EXPECTED[name][0] == KID else LOCATION_CHECKS
    assert set(expected) == set(checks)
    assert verdicts(by_check[name]) == expected


@pytest.mark.parametrize("name", [name for name, (_, reason) in EXPECTED.items() if reason not in {WELL, NO_CHECK}])
def test_each_verdict_is_there_half_a_minute_after_its_check_began(
    scene: Scene, by_cluster: dict[str, Object], name: str
) -> None:
    found = by_cluster[name]
    checks = IDENTITY_CHECKS if found["kind"] == KID else LOCATION_CHECKS
    failed = next(type_ for type_ in checks if condition(found, type_).get("reason") == EXPECTED[name][1])
    assert scene.kube.verdict_seconds(found, failed) < VERDICT_SECONDS


def test_a_location_is_not_probed_by_an_identity_that_is_not_ready(
    by_check: dict[str, Object], by_cluster: dict[str, Object]
) -> None:
    """The cluster starts no pod for it and says whose fault it is; the command says the same of its ticket."""
    assert "KeytabStale" in condition(by_cluster["stale-identity"], "Ready")["message"]
    assert verdicts(by_check["stale-identity"])["TicketAcquired"] == ("False", "KeytabStale")


def test_an_address_for_a_name_is_refused_by_both_before_any_check(scene: Scene, folder: Path) -> None:
    by_address = objects.location("by-address", "10.1.2.3", "src", "good")
    with pytest.raises(KubectlError) as raised:
        scene.kube.apply(by_address)
    (folder / "by-address.yaml").write_text(yaml.safe_dump(by_address))
    ended = run_check(folder / "by-address.yaml")
    assert ended.returncode == 10
    for said in (str(raised.value), ended.stderr):
        assert "spec.server" in said
        assert "Kerberos tickets are for names" in said


def test_what_kubectl_describes_names_cause_and_remedy(by_cluster: dict[str, Object]) -> None:
    for name, (kind, reason) in EXPECTED.items():
        text = (REPORTS / f"{kind.lower()}-{name}.txt").read_text()
        assert reason in text
        assert condition(by_cluster[name], "Ready")["message"].split(":")[0] in text
