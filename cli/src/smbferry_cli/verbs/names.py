"""Completes names of objects, namespaces and contexts from the cluster: within a time limit, and silently."""

import argparse
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from smbferry_api.crd import KERBEROS_IDENTITY, SMB_LOCATION, TRANSFER_RUN, TRANSFER_TASK, Kind
from smbferry_cli.api import contexts
from smbferry_cli.cluster import Cluster
from smbferry_cli.exits import ClusterError
from smbferry_cli.kinds import ALL, PLURAL, kind_of, short
from smbferry_cli.verbs.metavars import CHECKED, CONTEXT, KIND, LOGGED, NAMES, NAMESPACE, RUN, TASK, TASK_OR_RUN

SECONDS: Final = 2.0
"""How long a shell waits for names."""
_TIMEOUT: Final = (1.0, 1.5)
_BARE: Final[Mapping[str, Kind]] = {
    TASK: TRANSFER_TASK,
    TASK_OR_RUN: TRANSFER_TASK,
    RUN: TRANSFER_RUN,
    LOGGED: TRANSFER_RUN,
}
"""The kind of a name without one, by the metavar of the argument."""
_PREFIXED: Final[Mapping[str, tuple[Kind, ...]]] = {
    TASK_OR_RUN: (TRANSFER_RUN,),
    LOGGED: (TRANSFER_TASK, KERBEROS_IDENTITY, SMB_LOCATION),
    CHECKED: (KERBEROS_IDENTITY, SMB_LOCATION),
}
"""Kinds that a name may follow: identity/svc-src."""
Connect = Callable[[argparse.Namespace], Cluster]


def _connect(chosen: argparse.Namespace) -> Cluster:
    return Cluster.connect(chosen, _TIMEOUT)


def names(metavar: str, typed: Mapping[str, str], begun: str, connect: Connect = _connect) -> list[str]:
    """Returns the candidates for an argument; none if the cluster does not answer in time.

    Args:
        typed: values of options and arguments before it, by their destination.
        begun: the beginning of the word.
    """
    if metavar == KIND and "/" not in begun:
        return [*PLURAL, ALL]
    found = list[str]()
    # A thread, because a credential plugin or a resolver may block longer than any timeout of a request. It is left
    # behind: the process ends as soon as the candidates are printed.
    thread = threading.Thread(target=_collect, args=(found, metavar, typed, begun, connect), daemon=True)
    thread.start()
    thread.join(SECONDS)
    return list(found)


def _collect(found: list[str], metavar: str, typed: Mapping[str, str], begun: str, connect: Connect) -> None:
    try:
        if metavar == CONTEXT:
            found += contexts(typed.get("kubeconfig"))
            return
        chosen = {name: typed.get(name) for name in ("kubeconfig", "context", "namespace")}
        with connect(argparse.Namespace(**chosen)) as cluster:
            found += cluster.namespaces() if metavar == NAMESPACE else _objects(cluster, metavar, typed, begun)
    except (ClusterError, ValueError):
        # A shell shows nothing but candidates; the command itself explains why it fails.
        return


def _objects(cluster: Cluster, metavar: str, typed: Mapping[str, str], begun: str) -> Iterator[str]:
    word, slash, _ = begun.rpartition("/")
    if slash:
        yield from (f"{word}/{name}" for name in cluster.names(kind_of(word)))
        return
    bare = kind_of(typed["requested"]) if metavar == NAMES else _BARE.get(metavar)
    if bare is not None:
        yield from cluster.names(bare)
    for kind in _PREFIXED.get(metavar, ()):
        if f"{short(kind)}/".startswith(begun):
            yield from (f"{short(kind)}/{name}" for name in cluster.names(kind))
