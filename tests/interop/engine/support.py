"""What the engine's tests against the real domain share: endpoints with tickets, a watcher, a witness of every run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import gssapi
import krb5
import pytest
from lab.smblab import keytab as keytabs
from tests.interop.engine.invariants import Expected, Look, Witness, logged
from tests.support.member import BACKUP_OPERATORS, READERS, WRITERS
from tests.support.trees import differences

from smbferry_engine import (
    Endpoint,
    EngineError,
    FileFailure,
    FileRecord,
    Options,
    Result,
    SecurityDescriptors,
    transfer,
)
from smbferry_engine.connect import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.domain import Directory, Domain, User
    from tests.support.member import Member

    from smbferry_engine import Counters, Evidence, ServerSideFact, SideName

MIB = 1 << 20
SOURCE, DESTINATION = 0, 1
SIDES = pytest.mark.parametrize("side", [SOURCE, DESTINATION], ids=["source", "destination"])
RANGES_UNDER_WAY = 8
READER_GROUPS = (READERS,)
# Of the domain controller's Backup Operators and of the member server's, which are groups of their own.
WRITER_GROUPS = (WRITERS, "Backup Operators", BACKUP_OPERATORS)


@dataclass
class Tickets:
    """Credential caches of the tests' own users, filled once by libkrb5 from keytabs of the domain."""

    domain: Domain
    member: Member
    scratch: Path
    reader: User
    writer: User
    _caches: dict[str, str] = field(default_factory=dict)
    _keys: set[bytes] = field(default_factory=set)

    def of(self, user: User) -> str:
        """The ccache of `user`."""
        if user.name not in self._caches:
            keytab = self.scratch / f"{user.name}.keytab"
            keytab.write_bytes(user.keytab())
            self._keys |= {entry.key for entry in keytabs.parse(keytab.read_bytes())}
            ccache = f"FILE:{self.scratch / user.name}"
            name = gssapi.Name(user.principal, gssapi.NameType.kerberos_principal)
            store = {"client_keytab": f"FILE:{keytab}", "ccache": ccache}
            credentials = gssapi.Credentials(name=name, usage="initiate", store=store)
            assert credentials.lifetime
            self._caches[user.name] = ccache
        return self._caches[user.name]

    def secrets(self) -> set[bytes]:
        """Every key and ticket that there is so far."""
        context = krb5.init_context()
        found = set(self._keys)
        for ccache in self._caches.values():
            for credentials in krb5.cc_resolve(context, ccache.encode()):
                if credentials.keyblock.data:
                    found |= {bytes(credentials.keyblock.data), bytes(credentials.ticket)[-48:]}
        return found

    def endpoint(self, share: str, path: str, *, user: User | None = None, **changes: object) -> Endpoint:
        """One side; by default as the user for that share. Those of the member server begin with `acl-`."""
        who = user or (self.writer if share.endswith("dst") else self.reader)
        machine = self.member if share.startswith("acl-") else self.domain
        made = Endpoint(
            server=machine.server,
            port=445,
            share=share,
            path=path,
            addresses=(machine.address,),
            service_principal=f"cifs/{machine.server}",
            principal=who.principal,
            ccache=self.of(who),
            krb5_config=os.environ["KRB5_CONFIG"],
        )
        return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class Watcher:
    """An observer that remembers."""

    failures: list[FileFailure] = field(default_factory=list)
    records: list[FileRecord] = field(default_factory=list)
    phases: list[tuple[str, str]] = field(default_factory=list)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    facts: list[ServerSideFact] = field(default_factory=list)
    on_progress: Callable[[Counters], None] = lambda _counters: None

    def phase(self, name: str, state: str) -> None:
        self.phases.append((name, state))

    def progress(self, counters: Counters) -> None:
        self.on_progress(counters)

    def failure(self, failure: FileFailure) -> None:
        self.failures.append(failure)

    def record(self, record: FileRecord) -> None:
        self.records.append(record)

    def security(self, side: SideName, evidence: Evidence) -> None:
        self.evidence[side] = evidence

    def server_side(self, fact: ServerSideFact) -> None:
        self.facts.append(fact)

    @property
    def reasons(self) -> dict[str, str]:
        """Path → reason of every failure."""
        return {failure.path: failure.reason for failure in self.failures}


@dataclass
class Bench:
    """A source and a destination folder of the test's own, and the engine between them."""

    tickets: Tickets
    source: Directory
    destination: Directory
    beside: tuple[Directory, ...]
    watcher: Watcher = field(default_factory=Watcher)

    def ends(self) -> tuple[Endpoint, Endpoint]:
        """Both sides."""
        source, destination = (self.tickets.endpoint(it.share, it.path) for it in (self.source, self.destination))
        return source, destination

    def copy(
        self,
        *,
        ends: tuple[Endpoint, Endpoint] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        expected: Expected | None = Expected(),  # noqa: B008  # frozen
        **options: object,
    ) -> Result:
        """Transfer with the given options; no descriptors unless asked for.

        A witness looks at the server's disks before and after and judges the invariants, unless `expected` is None:
        that is for trees that take too long to hash, and for runs between other folders than these two.
        """
        chosen = Options(**{"security_descriptors": SecurityDescriptors.NONE, **options})  # type: ignore[arg-type]
        self.watcher = replace(self.watcher, failures=[], records=[], phases=[], evidence={}, facts=[])
        source, destination = ends or self.ends()
        witness = Witness(self, expected) if expected is not None else None
        result, error = None, None
        with logged() as log:
            try:
                result = transfer(source, destination, chosen, self.watcher, cancelled=cancelled)
            except EngineError as caught:
                error = caught
        if witness is not None:
            witness.judge(chosen, result, error, log)
        if result is None:
            raise error or AssertionError("a run has a result or an error")
        return result

    def finish(self, **options: object) -> Result:
        """The run after one that failed: it completes, and of what is there already writes nothing again (I7)."""
        look = Look.at(self)
        missing = sum(
            entry.size
            for path, entry in look.source.items()
            if path not in look.destination or look.destination[path].sha256 != entry.sha256
        )
        kept = sum(look.destination[path].size for path in look.temporaries)
        result = self.copy(**options)  # type: ignore[arg-type]
        self.same()
        # Requests overtake each other: of the last ranges that were under way, some may be missing.
        assert result.counters.bytes.written <= max(0, missing - kept) + RANGES_UNDER_WAY * CHUNK
        return result

    def same(self) -> None:
        """Nothing failed, and both trees are the same by the server's own hashes, times included."""
        assert self.watcher.failures == []
        assert differences(self.source.tree(), self.destination.tree(), times=True) == []


def ends_with(bench: Bench, side: int, change: Callable[[Endpoint], Endpoint]) -> tuple[Endpoint, Endpoint]:
    """Both sides, one of them changed."""
    source, destination = bench.ends()
    return (change(source), destination) if side == SOURCE else (source, change(destination))
