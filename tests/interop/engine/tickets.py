"""The accounts and endpoints of the engine's tests against the real domain, and an observer that remembers."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import gssapi
import krb5
from lab.smblab import keytab as keytabs

from smbferry_engine import Endpoint, FileFailure, FileRecord, NotCarried, RetryFact, ServerSideFact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.support.domain.domain import Domain, User
    from lab.support.domain.member import Member

    from smbferry_engine import Counters, Evidence, SideName, SidFacts


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
    retries: list[RetryFact | None] = field(default_factory=list)
    on_retry: Callable[[RetryFact | None], None] = lambda _fact: None
    left: list[NotCarried] = field(default_factory=list)
    found_sids: SidFacts | None = None
    on_progress: Callable[[Counters], None] = lambda _counters: None

    def phase(self, name: str, state: str) -> None:
        self.phases.append((name, state))

    def progress(self, counters: Counters) -> None:
        self.on_progress(counters)

    def failure(self, failure: FileFailure) -> None:
        self.failures.append(failure)

    def record(self, record: FileRecord) -> None:
        self.records.append(record)

    def not_carried(self, item: NotCarried) -> None:
        self.left.append(item)

    def sids(self, facts: SidFacts) -> None:
        self.found_sids = facts

    def security(self, side: SideName, evidence: Evidence) -> None:
        self.evidence[side] = evidence

    def server_side(self, fact: ServerSideFact) -> None:
        self.facts.append(fact)

    def retrying(self, fact: RetryFact | None) -> None:
        self.retries.append(fact)
        self.on_retry(fact)

    @property
    def reasons(self) -> dict[str, str]:
        """Path → reason of every failure."""
        return {failure.path: failure.reason for failure in self.failures}
