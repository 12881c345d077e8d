"""No secret in any output: a whole run and its checks, and everything that they write searched for the keys."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import krb5
import pytest
from lab.smblab import keytab as keytabs
from lab.support.cluster.leaks import leaks
from lab.support.domain.trees import Wanted
from tests.support.api_server import ApiServer
from tests.support.one_process import in_one_process

from smbferry_agent import cluster, logs, main
from smbferry_agent.kerberos.session import KerberosSession
from smbferry_agent.report.api_client import ApiClient, ObjectKey
from smbferry_api import agent_contract
from smbferry_api.agent_contract import Side
from smbferry_api.snapshot import environment_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain
    from tests.interop.agent.scene import Scene

UID = "5b877571-e66e-4bb6-9ea4-79fc1ec9f3ea"
RUN, IDENTITY, LOCATION = (ObjectKey(kind, "ns", "it") for kind in ("TransferRun", "KerberosIdentity", "SmbLocation"))


class Tickets:
    """Takes session keys and tickets out of every credential cache before it is wiped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.secrets: set[bytes] = set()
        ended = KerberosSession.__exit__

        def exit_(session: KerberosSession, *error: Any) -> None:
            self.take(session.ccache)
            ended(session, *error)

        monkeypatch.setattr(KerberosSession, "__exit__", exit_)

    def take(self, ccache: str) -> None:
        if not Path(ccache.removeprefix("FILE:")).exists():
            return  # the KDC gave none
        context = krb5.init_context()
        for found in krb5.cc_resolve(context, ccache.encode()):
            if found.keyblock.data:
                self.secrets |= {bytes(found.keyblock.data), bytes(found.ticket)[-48:]}


@pytest.fixture
def server(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server with a run, an identity and a location, and the mounts of a pod."""
    mounted = tmp_path / "mounted"
    source = scene.identities[Side.SOURCE]
    for side, identity in {**scene.identities, Side.SELF: source}.items():
        (mounted / side).mkdir(parents=True)
        for part in ("keytab", "krb5"):
            (mounted / side / part).symlink_to(identity.folder / part)
    monkeypatch.setattr(agent_contract, "IDENTITY_ROOT", str(mounted))
    monkeypatch.setattr(cluster, "SCRATCH_DIR", str(tmp_path / "pod-scratch"))
    monkeypatch.setenv("SMBFERRY_TERMINATION_LOG", str(tmp_path / "termination-log"))
    for name, part in environment_of(scene.task()).items():
        monkeypatch.setenv(name, part)
    in_one_process(monkeypatch)  # otherwise logs and tickets would be another process's
    (tmp_path / "server").mkdir()
    with ApiServer(tmp_path / "server") as running:
        monkeypatch.setattr(ApiClient, "in_cluster", classmethod(lambda _cls: running.client()))
        running.objects[RUN.path] = {"metadata": meta(), "spec": {"taskRef": {"name": "task"}}}
        spec = source.subject().spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        for name in (IDENTITY.name, *scene.task().identity_names):
            running.objects[ObjectKey(IDENTITY.kind, "ns", name).path] = {"metadata": meta(), "spec": spec}
        location = scene.task().source.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
        location |= {"identityRef": {"name": "it"}}
        running.objects[LOCATION.path] = {"metadata": meta(), "spec": location}
        yield running


def meta() -> dict[str, Any]:
    return {
        "name": "it",
        "namespace": "ns",
        "creationTimestamp": "2026-11-21T12:00:00Z",
        "generation": 1,
        "resourceVersion": "1",
        "uid": UID,
    }


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The agent's log as it writes it, its own lines down to debug."""
    stream, handlers, level = io.StringIO(), logging.root.handlers[:], logging.root.level
    before = signal.getsignal(signal.SIGTERM)
    set_up = logs.set_up

    def verbose() -> None:
        set_up(logging.DEBUG)
        for handler in logging.root.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(stream)

    monkeypatch.setattr(logs, "set_up", verbose)
    yield stream
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    signal.signal(signal.SIGTERM, before)


def agent(command: str, *arguments: str) -> int:
    return main.main([command, "--namespace", "ns", "--name", "it", *arguments])


def all_agents() -> list[int]:
    """The exit codes of a check of the identity, of one of the location alone, and of a run."""
    return [
        agent("check-identity"),
        agent("check-identity", "--only-locations", f"--location=it={UID}"),
        agent("transfer"),
    ]


def keys_of(scene: Scene) -> set[bytes]:
    files = [(identity.folder / "keytab" / "keytab").read_bytes() for identity in scene.identities.values()]
    return {entry.key for file in files for entry in keytabs.parse(file)}


class Written:
    """Everything that the agent wrote."""

    def __init__(self, folder: Path, server: ApiServer, logged: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._server, self._logged, self._capfd = server, logged, capfd

    def read(self) -> bytes:
        """Logs, standard output and error, what went to the API server, every file left but mounts and the server's."""
        parts = [self._logged.getvalue().encode(), json.dumps(self._server.requests, ensure_ascii=False).encode()]
        parts += [part.encode(errors="surrogateescape") for part in self._capfd.readouterr()]
        inputs = {"source", "destination", "identity", "mounted", "server"}
        files = (file for file in self.folder.rglob("*") if file.relative_to(self.folder).parts[0] not in inputs)
        return b"\n".join([*parts, *(file.read_bytes() for file in files if file.is_file())])


@pytest.fixture
def written(tmp_path: Path, server: ApiServer, logged: io.StringIO, capfd: pytest.CaptureFixture[str]) -> Written:
    return Written(tmp_path, server, logged, capfd)


@pytest.fixture
def tickets(monkeypatch: pytest.MonkeyPatch) -> Tickets:
    return Tickets(monkeypatch)


def test_checks_and_a_run_write_no_key_and_no_ticket_anywhere(
    scene: Scene, server: ApiServer, written: Written, tickets: Tickets, domain: Domain
) -> None:
    scene.source.seed([Wanted(f"f-{i}.txt", text="text") for i in range(5)])
    assert all_agents() == [0, 0, 0]
    secrets = keys_of(scene)
    # The failing paths write more than the others.
    domain.set_password(scene.identities[Side.SOURCE].principal.partition("@")[0])
    assert all_agents() == [11, 11, 11]
    assert len(secrets) == 4
    assert len(tickets.secrets) >= 8, "session keys and tickets of both sides"

    text = written.read()
    assert b"KeytabStale" in text
    assert b"TicketIssued" in text
    assert (written.folder / "termination-log").read_bytes() in text
    assert leaks(text, secrets | tickets.secrets) == []
    assert not list((written.folder / "pod-scratch").glob("*")), "nothing is left where tickets lay"


@pytest.mark.parametrize("hide", [bytes, bytes.hex, base64.b64encode, lambda key: base64.b64encode(b"xx" + key + b"y")])
def test_the_search_finds_a_key_in_every_form(hide: Any) -> None:
    key = os.urandom(32)
    hidden = hide(key)
    text = b"before " + (hidden.encode() if isinstance(hidden, str) else hidden) + b" after"
    assert leaks(text, {key})
    assert not leaks(text, {os.urandom(32)})
