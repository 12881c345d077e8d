"""Manifests for the lab's domain, and the command as a person starts it: in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import yaml
from tests.interop.agent.support import default_config

from smbferry_api.names import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.support.domain.domain import Domain
    from lab.support.domain.machine import Directory


@dataclasses.dataclass(frozen=True)
class Ended:
    """How the command ended, and what it said."""

    code: int
    out: str
    err: str

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    def reasons(self) -> dict[str, dict[str, str]]:
        """Of `check -o json`: reason by condition type, by object's name."""
        return {
            item["metadata"]["name"]: {c["type"]: c["reason"] for c in item["status"]["conditions"]}
            for item in self.document()["items"]
        }


@dataclasses.dataclass(frozen=True)
class Account:
    """A user of the domain with the keytab that it has now, and one from before its password was changed."""

    principal: str
    kvno: int
    keytab: bytes = dataclasses.field(repr=False)
    stale: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass
class Scene:
    """Two identities, two locations and a task; fields may be changed before a command is run."""

    folder: Path
    domain: Domain
    reader: Account
    writer: Account
    source: Directory
    destination: Directory
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    locations: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    kdc: str | None = None
    report: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("manifests", "runtime"):
            (self.folder / name).mkdir()
        self.give("reader", self.reader.keytab)
        self.give("writer", self.writer.keytab)

    def give(self, name: str, keytab: bytes) -> None:
        """The keytab that the command is given for the reader or the writer."""
        (self.folder / f"{name}.keytab").write_bytes(keytab)

    def smbferry(self, *arguments: str, **environment: str) -> Ended:
        """Runs the command to its end; nothing of it may be left in the folder for private files."""
        process = self.start(*arguments, environment=environment)
        out, err = process.communicate(timeout=120)
        assert list((self.folder / "runtime").iterdir()) == [], "keytabs and tickets are wiped"
        return Ended(process.returncode, out, err)

    def start(
        self, command: str, *arguments: str, stderr: int = subprocess.PIPE, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Starts `smbferry check` or `run` on the manifests as they stand."""
        manifests = self.folder / "manifests" / "all.yaml"
        manifests.write_text(yaml.safe_dump_all(self._objects(), allow_unicode=True), encoding="utf-8")
        keytabs = [f"--keytab={name}-keytab={self.folder / name}.keytab" for name in ("reader", "writer")]
        return subprocess.Popen(
            [sys.executable, "-m", "smbferry_cli.main", command, str(manifests.parent), *keytabs, *arguments],
            stdout=subprocess.PIPE, stderr=stderr, text=True,
            env={
                # The width of whatever terminal the tests run in is not that of the command.
                **{name: value for name, value in os.environ.items() if name != "COLUMNS"},
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "XDG_RUNTIME_DIR": str(self.folder / "runtime"),
                **(environment or {}),
            },
        )  # fmt: skip

    def _objects(self) -> list[dict[str, Any]]:
        ends = {"source": (self.source, "reader"), "destination": (self.destination, "writer")}
        given = {
            name: {"share": folder.share, "path": folder.path, "identityRef": {"name": identity}}
            for name, (folder, identity) in ends.items()
        }
        common = {"server": self.domain.server, "nameservers": [self.domain.address]}
        wanted = {name: {**common, **spec} for name, spec in {**given, **self.locations}.items()}
        config = {"krb5.conf": default_config(self.domain, self.kdc)}
        return [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "corp-krb5"}, "data": config},
            *(
                _ours("KerberosIdentity", name, principal=account.principal, **_refs(name))
                for name, account in (("reader", self.reader), ("writer", self.writer))
            ),
            *(_ours("SmbLocation", name, **spec) for name, spec in wanted.items()),
            _ours(
                "TransferTask", "nightly", options=self.options, report=self.report,
                **{end: {"locationRef": {"name": end}} for end in ends},
            ),
        ]  # fmt: skip


def _refs(name: str) -> dict[str, Any]:
    return {"keytabSecretRef": {"name": f"{name}-keytab"}, "krb5ConfigMapRef": {"name": "corp-krb5"}}


def _ours(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
