"""Reads a task and its runs from a cluster with the user's kubeconfig. Writes nothing."""

from typing import Any, Final, Self, cast

import urllib3.exceptions
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from smbferry_api.exit_codes import ExitCode
from smbferry_api.names import GROUP, PLURALS, VERSION
from smbferry_cli.exits import ClusterError

_TIMEOUT: Final = (5, 15)
"""Seconds to connect, and to wait for a response."""
_NOT_FOUND, _UNAUTHORIZED, _FORBIDDEN = 404, 401, 403


class AwayError(ClusterError):
    """The API server does not answer; this may be temporary."""


class Cluster:
    """Access to one namespace of a cluster. A context manager.

    Args:
        context: context of the kubeconfig; None for the current one.
        namespace: None for the context's namespace.

    Raises:
        ClusterError: the kubeconfig or the context does not exist.
    """

    def __init__(self, kubeconfig: str | None, context: str | None, namespace: str | None) -> None:
        known = client.Configuration()
        known.retries = False  # the caller retries and reports it
        try:
            config.load_kube_config(  # type: ignore[no-untyped-call]  # it has none
                config_file=kubeconfig, context=context, client_configuration=known
            )
            self.namespace = namespace or _namespace(kubeconfig, context)
        except ConfigException as error:
            raise ClusterError(f"cannot use the kubeconfig: {error}", ExitCode.CONFIGURATION) from error
        self._client = client.ApiClient(known)
        self._objects = client.CustomObjectsApi(self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()  # type: ignore[no-untyped-call]  # it has none

    def task(self, name: str) -> dict[str, Any]:
        """Returns the TransferTask.

        Raises:
            ClusterError: the task does not exist or may not be read.
            AwayError: the API server does not answer.
        """
        found = self._get(PLURALS["TransferTask"], name)
        if found is None:
            said = f'TransferTask "{name}" not found in namespace "{self.namespace}"'
            raise ClusterError(
                f"{said}; kubectl get transfertask --all-namespaces lists all tasks", ExitCode.CONFIGURATION
            )
        return found

    def run(self, name: str) -> dict[str, Any] | None:
        """Returns the TransferRun, or None if it does not exist.

        Raises:
            ClusterError: the run may not be read.
            AwayError: the API server does not answer.
        """
        return self._get(PLURALS["TransferRun"], name)

    def _get(self, plural: str, name: str) -> dict[str, Any] | None:
        try:
            return cast(
                "dict[str, Any]",
                self._objects.get_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, plural, name, _request_timeout=_TIMEOUT
                ),
            )
        except client.ApiException as error:
            if error.status == _NOT_FOUND:
                return None
            raise self._refused(error, plural) from error
        except urllib3.exceptions.HTTPError as error:
            raise AwayError(f"expected an answer from the API server, got none: {error}", ExitCode.NETWORK) from error

    def _refused(self, error: client.ApiException, plural: str) -> ClusterError:
        if error.status == _UNAUTHORIZED:
            return ClusterError("the API server did not accept your credentials; log in again", ExitCode.CONFIGURATION)
        if error.status == _FORBIDDEN:
            said = f'you may not get {plural}.{GROUP} in namespace "{self.namespace}"'
            return ClusterError(f"{said}; your role needs the verb get on them", ExitCode.CONFIGURATION)
        return AwayError(f"the API server answered {error.status} {error.reason}", ExitCode.NETWORK)


def _namespace(kubeconfig: str | None, context: str | None) -> str:
    contexts, current = config.list_kube_config_contexts(  # type: ignore[no-untyped-call]  # it has none
        config_file=kubeconfig
    )
    chosen = next((c for c in contexts if c["name"] == context), current)
    return str(chosen["context"].get("namespace") or "default")
