"""`smbferry get`: objects as a table with kubectl's columns, or as JSON, YAML or names."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from smbferry_api.crd import Kind
from smbferry_api.exit_codes import ExitCode
from smbferry_cli.cluster import Cluster, MissingError, Object
from smbferry_cli.kinds import Reference, plural
from smbferry_cli.terminal import console
from smbferry_cli.verbs.table import Shown, lines
from smbferry_cli.verbs.waiting import Clock
from smbferry_cli.watch import without_managers


def get(chosen: argparse.Namespace, cluster: Cluster, _clock: Clock) -> ExitCode:
    """Prints the chosen objects.

    Raises:
        ClusterError: one does not exist, or may not be read.
    """
    kinds, names = chosen.requested.kinds, [*chosen.requested.names, *chosen.names]
    if chosen.output in {"table", "wide"}:
        return _tables(kinds, names, chosen, cluster)
    found = list(_objects(kinds, names, chosen, cluster))
    if chosen.output == "name":
        for kind, obj in found:
            print(Reference(kind, obj["metadata"]["name"]))
        return ExitCode.DONE
    documents = [without_managers(obj) for _, obj in found]
    whole = documents[0] if len(names) == 1 else {"apiVersion": "v1", "kind": "List", "items": documents}
    if chosen.output == "json":
        print(json.dumps(whole, indent=4))
    else:
        print(yaml.safe_dump(whole, sort_keys=False), end="")
    return ExitCode.DONE


def _objects(
    kinds: Sequence[Kind], names: Sequence[str], chosen: argparse.Namespace, cluster: Cluster
) -> Iterable[tuple[Kind, Object]]:
    for kind in kinds:
        if names:
            yield from ((kind, cluster.find(kind, name)) for name in names)
        else:
            yield from ((kind, obj) for obj in cluster.objects(kind, chosen.selector, everywhere=chosen.all_namespaces))


def _tables(kinds: Sequence[Kind], names: Sequence[str], chosen: argparse.Namespace, cluster: Cluster) -> ExitCode:
    out = console()
    printed = False
    for kind in kinds:
        prefix = str(Reference(kind, "")) if len(kinds) > 1 else ""
        shown = Shown(wide=chosen.output == "wide", namespaces=chosen.all_namespaces, prefix=prefix)
        found = lines(_pages(kind, names, chosen, cluster), shown)
        if found and printed:
            out.print()
        for line in found:
            # Neither wrapped nor cut: a terminal wraps by itself, and a pipe gets whole lines.
            out.print(line, soft_wrap=True)
        printed = printed or bool(found)
    if not printed:
        print(f"No {_asked(kinds)} found{_where(chosen, cluster)}.", file=sys.stderr)
    return ExitCode.DONE


def _pages(kind: Kind, names: Sequence[str], chosen: argparse.Namespace, cluster: Cluster) -> list[dict[str, Any]]:
    if not names:
        return cluster.table(kind, selector=chosen.selector, everywhere=chosen.all_namespaces)
    pages = list[dict[str, Any]]()
    for name in names:
        try:
            pages += cluster.table(kind, name)
        except MissingError:
            raise cluster.missing(kind, name) from None
    return pages


def _asked(kinds: Sequence[Kind]) -> str:
    return plural(kinds[0]) if len(kinds) == 1 else "objects of smbferry"


def _where(chosen: argparse.Namespace, cluster: Cluster) -> str:
    return "" if chosen.all_namespaces else f' in namespace "{cluster.namespace}"'
