"""Manifests that mean harm, in a real cluster: refused by the API server, or by a check within half a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import KubectlError, Object, condition, is_, new_namespace
from lab.support.cluster.scene import READER, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.takes(55)

KID, LOC = "KerberosIdentity", "SmbLocation"
VERDICT_SECONDS = 30
QUOTES = "it's $(id) `id` ${HOME} %s; {}"


@pytest.fixture(scope="module")
def hostile(scene: Scene) -> Iterator[Scene]:
    """All of them at once; beside them an account that is not the file server's holds a name of it."""
    domain, reader = scene.domain, scene.reader
    keytab = {"keytab": "good-keytab"}
    with domain.user(prefix="rogue") as rogue:
        name = f"cifs/{rogue.name}.{domain.realm.lower()}"
        domain.modify(rogue.name, "add: servicePrincipalName", f"servicePrincipalName: {name}")
        scene.kube.apply(
            objects.secret("good-keytab", {"keytab": reader.keytab()}),
            *(
                objects.krb5(f"{kind}-krb5", domain.realm, kdc, extra)
                for kind, kdc, extra in (
                    ("loading", domain.address, "  module /tmp/x.so:residual\n"),
                    ("plugging", domain.address, "[plugins]\n  pwqual = {\n    module = x:/tmp/x.so\n  }\n"),
                    ("metadata", "169.254.169.254:80", ""),
                    ("running", "$(id)`id`'\"", ""),
                )
            ),
            *(
                scene.identity(kind, reader, config=f"{kind}-krb5", **keytab)
                for kind in ("loading", "plugging", "metadata", "running")
            ),
            scene.location("quoted-path", "src", READER, path=f"/{QUOTES}"),
            scene.location("quoted-share", "$(id)'`id`", READER),
            scene.location("rogue", "src", READER, servicePrincipal=name),
        )
        yield scene


@pytest.mark.fault(56, 57, 59, 60)
@pytest.mark.parametrize(
    ("kind", "name", "reason", "named"),
    [
        pytest.param(KID, "loading", "Krb5ConfigRefused", "'module'", id="56 krb5.conf loads a module"),
        pytest.param(KID, "plugging", "Krb5ConfigRefused", "plugins", id="56 krb5.conf has plugins"),
        pytest.param(KID, "metadata", "Krb5ConfigRefused", "link-local", id="57 kdc at a metadata address"),
        pytest.param(KID, "running", "Krb5ConfigInvalid", "kdc", id="59 kdc with shell in it"),
        pytest.param(LOC, "quoted-path", "PathNotFound", "$(id)", id="59 path with shell in it"),
        pytest.param(LOC, "quoted-share", "ShareNotFound", "$(id)'`id`", id="59 share with shell in it"),
        pytest.param(LOC, "rogue", "ServerKeyMismatch", "just issued", id="60 server without the service's key"),
    ],
)
def test_each_ends_in_its_reason_within_half_a_minute_of_its_checks_start(
    hostile: Scene, kind: str, name: str, reason: str, named: str
) -> None:
    found = hostile.kube.wait(kind, name, f"Ready=False/{reason}", is_("Ready", "False", reason), timeout=120)
    message = condition(found, "Ready")["message"]
    assert named in message, message
    assert "uid=" not in message, "nothing ran"
    assert hostile.kube.verdict_seconds(found, "TicketAcquired") < VERDICT_SECONDS


def identity(**spec: object) -> Object:
    made = objects.identity("refused", "svc@CORP.EXAMPLE.COM", keytab="k", config="c")
    made["spec"] |= spec
    return made


def location(**spec: object) -> Object:
    made = objects.location("refused", "files.corp.example.com", "src", "svc")
    made["spec"] |= spec
    return made


@pytest.mark.fault(55, 58, 59)
@pytest.mark.parametrize(
    ("made", "said"),
    [
        pytest.param(location(share="x\\..\\C$"), "spec.share", id="55 share that climbs"),
        pytest.param(location(share="a\u0007b"), "spec.share", id="55 control character"),
        pytest.param(location(path="/a/../../b"), "'.' or '..'", id="55 path that climbs"),
        pytest.param(
            location(identityRef={"name": "svc", "namespace": "other"}), "unknown field", id="58 another namespace"
        ),
        pytest.param(location(identityRef={"name": "other/svc"}), "spec.identityRef.name", id="58 by a slash"),
        pytest.param(
            identity(keytabSecretRef={"name": "k", "namespace": "kube-system"}), "unknown field", id="58 their Secret"
        ),
        pytest.param(identity(principal="svc\nkdc = 10.0.0.1@R"), "spec.principal", id="59 principal with a line feed"),
        pytest.param(location(server="files.corp.example.com; id"), "spec.server", id="59 server with a command"),
    ],
)
def test_what_can_never_be_right_is_refused_by_the_api_server(hostile: Scene, made: Object, said: str) -> None:
    with pytest.raises(KubectlError) as raised:
        hostile.kube.apply(made)
    assert said in str(raised.value)


@pytest.mark.fault(58)
def test_an_agent_may_touch_nothing_of_another_namespace_and_no_secret(hostile: Scene) -> None:
    here, there = hostile.kube, new_namespace(hostile.kube.environment)
    try:
        found = here.get(KID, READER)
        assert found is not None
        (job, *_) = here.list("jobs", f"smbferry.io/owner-uid={found['metadata']['uid']}")
        name = job["spec"]["template"]["spec"]["serviceAccountName"]
        account = f"system:serviceaccount:{here.namespace}:{name}"
        for kube in (here, there):
            assert not kube.allows("get", "secrets", account)
            assert not kube.allows("get", "configmaps", account)
        assert not there.allows("get", "kerberosidentities.smbferry.io", account)
        assert not there.allows("patch", "kerberosidentities.smbferry.io/status", account)
    finally:
        there.kubectl("delete", "namespace", there.namespace, "--wait=false")
