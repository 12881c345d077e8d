"""Each bad input ends in a condition of its own that says what is wrong and what to do."""

from __future__ import annotations

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import KubectlError, Object, condition, is_
from lab.support.cluster.scene import READER, Scene

pytestmark = pytest.mark.takes(140)


@pytest.fixture(scope="module")
def bad(scene: Scene) -> Scene:
    """Everything that is wrong, applied at once: the checks then run side by side."""
    keys = scene.reader.keytab()
    name, realm = scene.reader.principal.split("@")
    scene.kube.apply(
        objects.secret("good-keytab", {"keytab": keys}),
        objects.secret("other-key", {"something-else": keys}),
        objects.secret("cut-keytab", {"keytab": keys[:-7]}),
        objects.krb5("other-name", realm, scene.domain.address, key="other.conf"),
        objects.krb5("loading", realm, scene.domain.address, extra="  plugin_base_dir = /tmp\n"),
        # Of another account than the rest, which are checked one after another.
        scene.identity("no-secret", scene.writer, keytab="missing"),
        scene.identity("no-secret-key", scene.reader, keytab="other-key"),
        scene.identity("no-config", scene.reader, config="missing", keytab="good-keytab"),
        scene.identity("no-config-key", scene.reader, config="other-name", keytab="good-keytab"),
        scene.identity("bad-config", scene.reader, config="loading", keytab="good-keytab"),
        scene.identity("cut", scene.reader, keytab="cut-keytab"),
        scene.identity("wrong-case", scene.reader, principal=f"{name.upper()}@{realm}", keytab="good-keytab"),
        scene.identity("not-in-keytab", scene.reader, principal=f"somebody@{realm}", keytab="good-keytab"),
        scene.location("no-share", "nosuchshare", READER),
        scene.location("no-path", "src", READER, path="/no/such/folder"),
        scene.location("no-encryption", "src", READER, port=1445),
        scene.location("old-dialect", "src", READER, port=1446),
        scene.location("closed-port", "src", READER, port=1447),
        objects.location("no-name", f"nosuch.{realm.lower()}", "src", READER, nameservers=scene.nameservers),
        scene.location("no-identity", "src", "nobody"),
        scene.location("unready-identity", "dst", "no-secret"),
        objects.task("no-location", "nowhere", "no-share"),
        objects.task("unready-location", "no-share", "no-path"),
    )
    return scene


KID, LOC, TASK = "kerberosidentity", "smblocation", "transfertask"


@pytest.mark.verdict(
    "Secret missing",
    "Key of the Secret missing",
    "ConfigMap missing",
    "Key of the ConfigMap missing",
    "Identity missing",
    "Identity not ready",
)
@pytest.mark.parametrize(
    ("kind", "name", "reason", "named"),
    [
        (KID, "no-secret", "SecretNotFound", "missing"),
        (KID, "no-secret-key", "SecretKeyNotFound", "something-else"),
        (KID, "no-config", "ConfigMapNotFound", "missing"),
        (KID, "no-config-key", "ConfigMapKeyNotFound", "other.conf"),
        (KID, "bad-config", "Krb5ConfigRefused", "plugin_base_dir"),
        (KID, "cut", "KeytabUnreadable", "keytab"),
        (KID, "wrong-case", "PrincipalCaseMismatch", "{reader}"),
        (KID, "not-in-keytab", "PrincipalNotInKeytab", "{reader}"),
        (LOC, "no-share", "ShareNotFound", "nosuchshare"),
        (LOC, "no-path", "PathNotFound", "/no/such/folder"),
        (LOC, "no-encryption", "EncryptionNotSupported", "offers none"),
        (LOC, "old-dialect", "DialectRefused", "3.1.1"),
        (LOC, "closed-port", "ServerRefused", "1447"),
        (LOC, "no-name", "NameNotFound", "nosuch"),
        (LOC, "no-identity", "IdentityNotFound", "nobody"),
        (LOC, "unready-identity", "IdentityNotReady", "no-secret"),
        (TASK, "no-location", "LocationNotFound", "nowhere"),
        (TASK, "unready-location", "LocationNotReady", "no-share"),
    ],
)
def test_a_bad_input_is_named_with_its_remedy(bad: Scene, kind: str, name: str, reason: str, named: str) -> None:
    found = bad.kube.wait(kind, name, f"Ready=False/{reason}", is_("Ready", "False", reason), timeout=150)
    message = condition(found, "Ready")["message"]
    assert named.format(reader=bad.reader.principal) in message
    assert message.rstrip().endswith("."), message
    assert "Traceback" not in message


def test_what_only_a_person_can_mend_is_stalled(bad: Scene) -> None:
    for name in ("no-secret", "wrong-case"):
        bad.kube.wait(KID, name, "stalled", is_("Stalled", "True"), timeout=60)


def test_no_bad_input_makes_a_pod_crash_with_a_traceback(bad: Scene) -> None:
    ended = [pod for pod in bad.kube.list("pods") if pod["status"]["phase"] in {"Succeeded", "Failed"}]
    assert ended
    for pod in ended:
        log = bad.kube.kubectl("logs", pod["metadata"]["name"], "--tail=200")
        assert "Traceback" not in log, log


SPEC = {"server": "dc1.corp.example.com", "share": "src", "identityRef": {"name": "reader"}}


@pytest.mark.fault(55)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"server": "10.1.2.3"}, "Kerberos tickets are for names"),
        ({"server": "fd00::1"}, "spec.server"),
        ({"share": "x\\..\\C$"}, "spec.share"),
        ({"path": "/a/../b"}, "'.' or '..'"),
        ({"ciphers": ["AES-128-CBC"]}, "spec.ciphers"),
    ],
)
def test_what_can_never_be_right_is_refused_at_once(bad: Scene, change: Object, said: str) -> None:
    made = {"apiVersion": objects.API, "kind": "SmbLocation", "metadata": {"name": "refused"}, "spec": SPEC | change}
    with pytest.raises(KubectlError) as raised:
        bad.kube.apply(made)
    assert said in str(raised.value)


def test_a_secret_that_comes_later_is_found_without_a_nudge(bad: Scene) -> None:
    bad.kube.apply(objects.secret("missing", {"keytab": bad.writer.keytab()}))
    bad.kube.wait(KID, "no-secret", "ready", is_("Ready", "True"), timeout=150)
    bad.kube.wait(LOC, "unready-identity", "ready", is_("Ready", "True"), timeout=90)


@pytest.mark.fault(202)
@pytest.mark.parametrize(
    ("factor", "said"),
    [
        ("1", "must be above 1 and at most 10"),
        (1, "must be above 1 and at most 10"),
        ("10.5", "must be above 1 and at most 10"),
        (1.2, "latencyFactor"),
        ("fast", "latencyFactor"),
    ],
)
def test_a_run_that_would_give_way_to_itself_is_refused_at_once(bad: Scene, factor: object, said: str) -> None:
    made = objects.task("refused", "no-share", "no-path", options={"politeness": {"latencyFactor": factor}})
    with pytest.raises(KubectlError) as raised:
        bad.kube.apply(made)
    assert said in str(raised.value)
