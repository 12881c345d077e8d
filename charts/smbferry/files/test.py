"""`helm test`: what was installed works together. Runs in a pod of the operator's image with nothing but Python.

It asks as the test's own ServiceAccount, which may do just this. Nothing is left: what it creates is a dry run.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API: Final = "/apis/smbferry.io/v1alpha1"
KINDS: Final = ("kerberosidentities", "smblocations", "transfertasks", "transferruns")
SECONDS: Final = 10
OK, CREATED, UNPROCESSABLE = 200, 201, 422


class FailedError(Exception):
    """Something is not as it should be: what was expected, what was found, what to do."""


def answer(url: str, body: dict[str, Any] | None = None, *, api: bool = True) -> tuple[int, dict[str, Any]]:
    """Status code and JSON of an answer, of the API server or else of a pod.

    Raises:
        FailedError: there was none.
    """
    context, headers = None, {"Content-Type": "application/json"}
    if api:
        context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        headers["Authorization"] = f"Bearer {(ACCOUNT / 'token').read_text(encoding='utf-8')}"
        url = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}{url}"
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, headers)  # noqa: S310 (https, or http to a pod's address)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as reply:  # noqa: S310 (as above)
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            said = error.read()
        return error.code, json.loads(said) if said.startswith(b"{") else {"message": said.decode(errors="replace")}
    except OSError as error:
        raise FailedError(f"{url} does not answer: {error}. Look for NetworkPolicies between pods.") from error


def read(url: str) -> dict[str, Any]:
    """What the API server has there.

    Raises:
        FailedError: it gives something else.
    """
    code, said = answer(url)
    if code != OK:
        raise FailedError(f"the API server answers {code} to {url}: {said.get('message')}")
    return said


def kinds_are_served() -> str:
    """All four, each with a status."""
    served = {resource["name"] for resource in read(API)["resources"]}
    missing = sorted({name + part for name in KINDS for part in ("", "/status")} - served)
    if missing:
        raise FailedError(f"{API} lacks {', '.join(missing)}: install the chart with crds.install, or crds/.")
    return "the API server serves all four kinds"


def specs_are_checked(namespace: str) -> str:
    """A good identity is taken, a bad one is refused; neither is kept."""
    url = f"{API}/namespaces/{namespace}/kerberosidentities?dryRun=All&fieldValidation=Strict"
    spec = {"keytabSecretRef": {"name": "keytab"}, "krb5ConfigMapRef": {"name": "krb5"}}
    kind = {"apiVersion": API.removeprefix("/apis/"), "kind": "KerberosIdentity", "metadata": {"name": "helm-test"}}
    code, said = answer(url, {**kind, "spec": {**spec, "principal": "svc@EXAMPLE.COM"}})
    if code != CREATED:
        raise FailedError(f"the API server refuses a good KerberosIdentity ({code}): {said.get('message')}")
    code, said = answer(url, {**kind, "spec": spec})
    if code != UNPROCESSABLE:
        raise FailedError(
            f"the API server answers {code} to a KerberosIdentity without a principal, not {UNPROCESSABLE}: its "
            "CustomResourceDefinition is another version's. Upgrade the chart with crds.install, or apply crds/."
        )
    return "the API server takes a good KerberosIdentity and refuses a bad one"


def operators_are_ready(namespace: str, selector: str) -> set[str]:
    """The names of the operator's pods, each of which says itself that it is ready."""
    found = read(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]
    pods = [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]
    if not pods:
        raise FailedError(f"no pod of the operator is in {namespace}: kubectl -n {namespace} get deployments")
    for pod in pods:
        name, address = pod["metadata"]["name"], pod["status"].get("podIP")
        if not address:
            raise FailedError(f"{name} has not begun: kubectl -n {namespace} describe pod {name}")
        host = f"[{address}]" if ":" in address else address
        code, said = answer(f"http://{host}:8080/readyz", api=False)
        if code != OK:
            raise FailedError(f"{name} is not ready ({code} {said}): kubectl -n {namespace} logs {name}")
    return {pod["metadata"]["name"] for pod in pods}


def one_leads(namespace: str, lease: str, pods: set[str]) -> str:
    """The lease is held by one of them."""
    found = read(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{lease}")
    holder = found["spec"].get("holderIdentity") or "nobody"
    if holder.partition("_")[0] not in pods:
        raise FailedError(
            f"the lease {lease} is held by {holder}, none of {', '.join(sorted(pods))}. One that has just "
            "gone keeps it for some seconds; else look for a second installation in this namespace."
        )
    return f"{holder.partition('_')[0]} leads"


def say(line: str) -> None:
    """Tells it at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(namespace: str, selector: str, lease: str) -> int:
    """Tells of each check; 0 when all is well."""
    try:
        say(f"ok: {kinds_are_served()}")
        say(f"ok: {specs_are_checked(namespace)}")
        pods = operators_are_ready(namespace, selector)
        say(f"ok: ready: {', '.join(sorted(pods))}")
        say(f"ok: {one_leads(namespace, lease, pods)}")
    except FailedError as error:
        say(f"failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
