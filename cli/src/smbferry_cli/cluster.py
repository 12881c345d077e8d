"""What is read of a cluster, by the user's own kubeconfig: a task and its runs. Nothing is written."""

from typing import Any, Final, Self, cast

import urllib3.exceptions
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from smbferry_api.exit_codes import ExitCode
from smbferry_api.names import GROUP, VERSION
from smbferry_cli.exits import ClusterError

_TIMEOUT: Final = (5, 15)
"""Seconds to connect, and to wait for an answer."""
_NOT_FOUND, _UNAUTHORIZED, _FORBIDDEN = 404, 401, 403


class AwayError(ClusterError):
    """The API server does not answer, or not now: it may by itself."""


class Cluster:
    """One namespace of the cluster that a context of the kubeconfig names. A context manager.

    Args:
        context: the current one if none is given.
        namespace: that of the context if none is given.

    Raises:
        ClusterError: there is no such kubeconfig or context.
    """

    def __init__(self, kubeconfig: str | None, context: str | None, namespace: str | None) -> None:
        known = client.Configuration()
        known.retries = False  # whoever watches asks again, and says so
        try:
            config.load_kube_config(  # type: ignore[no-untyped-call]  # it has none
                config_file=kubeconfig, context=context, client_configuration=known
            )
            self.namespace = namespace or _namespace(kubeconfig, context)
        except ConfigException as error:
            raise ClusterError(f"the kubeconfig can't be used: {error}", ExitCode.CONFIGURATION) from error
        self._client = client.ApiClient(known)
        self._objects = client.CustomObjectsApi(self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()  # type: ignore[no-untyped-call]  # it has none

    def task(self, name: str) -> dict[str, Any]:
        """The TransferTask.

        Raises:
            ClusterError: there is none of that name, or it may not be read.
            AwayError: the API server does not answer.
        """
        found = self._get("transfertasks", name)
        if found is None:
            said = f"there is no TransferTask {name} in the namespace {self.namespace}"
            raise ClusterError(f"{said}; kubectl get transfertask --all-namespaces lists all", ExitCode.CONFIGURATION)
        return found

    def run(self, name: str) -> dict[str, Any] | None:
        """The TransferRun; None where it is gone.

        Raises:
            ClusterError: it may not be read.
            AwayError: the API server does not answer.
        """
        return self._get("transferruns", name)

    def _get(self, plural: str, name: str) -> dict[str, Any] | None:
        try:
            return cast(
                dict[str, Any],
                self._objects.get_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, plural, name, _request_timeout=_TIMEOUT
                ),
            )
        except client.ApiException as error:
            if error.status == _NOT_FOUND:
                return None
            raise self._refused(error, plural) from error
        except urllib3.exceptions.HTTPError as error:
            raise AwayError(f"the API server does not answer: {error}", ExitCode.NETWORK) from error

    def _refused(self, error: client.ApiException, plural: str) -> ClusterError:
        if error.status == _UNAUTHORIZED:
            return ClusterError("the API server does not know this user: log in again", ExitCode.CONFIGURATION)
        if error.status == _FORBIDDEN:
            said = f"this user may not get {plural}.{GROUP} in the namespace {self.namespace}"
            return ClusterError(f"{said}: its role needs the verb get on them", ExitCode.CONFIGURATION)
        return AwayError(f"the API server answered {error.status} {error.reason}", ExitCode.NETWORK)


def _namespace(kubeconfig: str | None, context: str | None) -> str:
    contexts, current = config.list_kube_config_contexts(  # type: ignore[no-untyped-call]  # it has none
        config_file=kubeconfig
    )
    chosen = next((c for c in contexts if c["name"] == context), current)
    return str(chosen["context"].get("namespace") or "default")
