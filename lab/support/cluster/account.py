"""The API server as a ServiceAccount asks it, by a token of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import urllib3
from lab.support.cluster.api import JSON, connection

if TYPE_CHECKING:
    from lab.support.cluster.kube import Kube


class Account:
    """A ServiceAccount of a namespace."""

    def __init__(self, kube: Kube, name: str) -> None:
        self._token = kube.kubectl("create", "token", name).strip()
        known = connection(kube.environment["KUBECONFIG"])
        self._server = str(known.host)
        self._pool = urllib3.PoolManager(ca_certs=known.ssl_ca_cert)

    def ask(self, method: str, path: str, body: Any = None, content: str = JSON) -> tuple[int, Any]:
        """HTTP's code, and the answer."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content}
        answer = self._pool.request(method, self._server + path, body=json.dumps(body), headers=headers)
        return answer.status, json.loads(answer.data)

    def tries(self, method: str, path: str, body: Any, content: str = JSON) -> str:
        """What the API server says of a write that is not carried out: nothing if it would be."""
        query = "&" if "?" in path else "?"
        code, answer = self.ask(method, f"{path}{query}dryRun=All", body, content)
        return "" if code < 300 else f"{code} {answer.get('message')}"

    def rules(self, namespace: str) -> set[tuple[str, str, str]]:
        """All that it may do in a namespace: (verb, resource, name), of what not everybody may do."""
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        _, answer = self.ask("POST", path, {**review, "spec": {"namespace": namespace}})
        return {
            (verb, resource, name)
            for rule in answer["status"]["resourceRules"]
            for verb in rule["verbs"]
            for resource in rule["resources"]
            for name in rule.get("resourceNames", ["*"])
            if not resource.startswith("selfsubject")
        }


def agent_of(kube: Kube, run: str) -> Account:
    """The account of a run's agents."""
    (job, *_) = kube.list("jobs", f"smbferry.io/run={run}")
    return Account(kube, job["spec"]["template"]["spec"]["serviceAccountName"])
