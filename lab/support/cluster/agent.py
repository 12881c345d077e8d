"""The API server as an agent of a run asks it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import urllib3
from lab.support.cluster.api import connection

if TYPE_CHECKING:
    from lab.support.cluster.kube import Kube


class Agent:
    """The API server as an agent asks it, by the token of its ServiceAccount."""

    def __init__(self, kube: Kube, run: str) -> None:
        (job, *_) = kube.list("jobs", f"smbferry.io/run={run}")
        account = job["spec"]["template"]["spec"]["serviceAccountName"]
        self._token = kube.kubectl("create", "token", account).strip()
        known = connection(kube.environment["KUBECONFIG"])
        self._server = str(known.host)
        self._pool = urllib3.PoolManager(ca_certs=known.ssl_ca_cert)

    def ask(self, method: str, path: str, body: Any = None, content: str = "application/json") -> tuple[int, Any]:
        """HTTP's code, and the answer."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content}
        answer = self._pool.request(method, self._server + path, body=json.dumps(body), headers=headers)
        return answer.status, json.loads(answer.data)

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
