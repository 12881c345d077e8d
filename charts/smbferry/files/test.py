"""`helm test`: checks the installation. Runs in a pod with the operator's image and uses only Python.

It uses the test's own ServiceAccount, which has only the required permissions. It leaves nothing behind, because it
creates objects only as a dry run.
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
    """A check failed; the message says what was expected, what was found and what to do."""


def answer(url: str, body: dict[str, Any] | None = None, *, api: bool = True) -> tuple[int, dict[str, Any]]:
    """Returns the status code and JSON of a response from the API server or a pod.

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
        raise FailedError(
            f"expected an answer from {url}, got none: {error}. Check the NetworkPolicies between pods."
        ) from error


def read(url: str) -> dict[str, Any]:
    """Returns the object at this URL from the API server.

    Raises:
        FailedError: the response is not 200.
    """
    code, said = answer(url)
    if code != OK:
        raise FailedError(f"expected 200 from {url}, got {code}: {said.get('message')}")
    return said


def kinds_are_served() -> str:
    """Checks that all four kinds are served with a status."""
    served = {resource["name"] for resource in read(API)["resources"]}
    missing = sorted({name + part for name in KINDS for part in ("", "/status")} - served)
    if missing:
        raise FailedError(
            f"expected {', '.join(missing)} in {API}, found none. Install the chart with crds.install, or apply crds/."
        )
    return "the API server serves all four kinds"


def specs_are_checked(namespace: str) -> str:
    """Checks that a valid identity is accepted and an invalid one is rejected; neither is stored."""
    url = f"{API}/namespaces/{namespace}/kerberosidentities?dryRun=All&fieldValidation=Strict"
    spec = {"keytabSecretRef": {"name": "keytab"}, "krb5ConfigMapRef": {"name": "krb5"}}
    kind = {"apiVersion": API.removeprefix("/apis/"), "kind": "KerberosIdentity", "metadata": {"name": "helm-test"}}
    code, said = answer(url, {**kind, "spec": {**spec, "principal": "svc@EXAMPLE.COM"}})
    if code != CREATED:
        raise FailedError(f"expected {CREATED} for a valid KerberosIdentity, got {code}: {said.get('message')}")
    code, said = answer(url, {**kind, "spec": spec})
    if code != UNPROCESSABLE:
        raise FailedError(
            f"expected {UNPROCESSABLE} for a KerberosIdentity without a principal, got {code}: the "
            "CustomResourceDefinitions have a different version. Upgrade the chart with crds.install, or apply crds/."
        )
    return "the API server accepts a valid KerberosIdentity and rejects an invalid one"


def operators_are_ready(namespace: str, selector: str) -> set[str]:
    """Returns the names of the operator's pods after checking that each reports itself ready."""
    found = read(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]
    pods = [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]
    if not pods:
        raise FailedError(
            f"expected a pod of the operator in {namespace}, found none: kubectl -n {namespace} get deployments"
        )
    for pod in pods:
        name, address = pod["metadata"]["name"], pod["status"].get("podIP")
        if not address:
            raise FailedError(f"{name} has not started: kubectl -n {namespace} describe pod {name}")
        host = f"[{address}]" if ":" in address else address
        code, said = answer(f"http://{host}:8080/readyz", api=False)
        if code != OK:
            raise FailedError(f"{name} is not ready ({code} {said}): kubectl -n {namespace} logs {name}")
    return {pod["metadata"]["name"] for pod in pods}


def one_leads(namespace: str, lease: str, pods: set[str]) -> str:
    """Checks that one of the pods holds the lease."""
    found = read(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{lease}")
    holder = found["spec"].get("holderIdentity") or "nobody"
    if holder.partition("_")[0] not in pods:
        raise FailedError(
            f"expected one of {', '.join(sorted(pods))} to hold the lease {lease}, got {holder}. A stopped operator "
            "keeps it for some seconds; otherwise look for a second installation in this namespace."
        )
    return f"{holder.partition('_')[0]} is the leader"


def say(line: str) -> None:
    """Prints a line immediately."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(namespace: str, selector: str, lease: str) -> int:
    """Runs and reports each check; returns 0 if all pass."""
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
