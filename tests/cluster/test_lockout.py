"""Runs that start at once with a wrong key ask the KDC no more than a lockout policy bears: counted before the KDC."""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from lab.smblab import keytab as keytabs
from lab.support.cluster import objects
from lab.support.cluster.chart import ROOT
from lab.support.cluster.kube import Kube, condition, ended, is_, new_namespace
from lab.support.stubs.counting_kdc import CountingKdc

from smbferry_api.reasons import KEY_REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Object
    from lab.support.domain.domain import Domain, User
    from lab.support.domain.machine import Directory

pytestmark = pytest.mark.takes(210)

IDENTITY, SOURCE, DESTINATION = "many", "from", "to"
TASKS = [f"task-{number}" for number in range(4)]
FURTHER_CHECKS = 2
MOST = 2
"""Wrong keys in a check interval, which is an hour here."""
REPORT = ROOT / "build" / "reports" / "lockout.txt"


@dataclass(frozen=True)
class Account:
    """One account that all runs use, and the KDC that counts how often its key is proved or tried."""

    kube: Kube
    domain: Domain
    user: User
    source: Directory
    destination: Directory
    kdc: CountingKdc

    def keytab(self, data: bytes | None = None) -> Object:
        """The Secret, with the keys that the domain has now unless others are given."""
        return objects.secret("keytab", {"keytab": data or self.user.keytab()})

    def belongings(self) -> list[Object]:
        """What an identity of the account refers to."""
        return [objects.krb5("krb5", self.domain.realm, self.kdc.kdc), self.keytab()]

    def identity_named(self, name: str) -> Object:
        """An identity of the account."""
        servers = [self.domain.address]
        return objects.identity(name, self.user.principal, keytab="keytab", config="krb5", nameservers=servers)

    def identity(self) -> Object:
        found = self.kube.get("kid", IDENTITY)
        assert found is not None
        return found

    def check_on_request(self) -> Object:
        """As a person asks for it who can't wait for the next one; the identity when it is done."""
        request = str(time.time_ns())
        self.kube.kubectl("annotate", "kid", IDENTITY, f"smbferry.io/requested-at={request}", "--overwrite")
        return self.kube.wait(
            "kid", IDENTITY, "checked", lambda kid: kid["status"].get("lastHandledRequest") == request, timeout=90
        )


@pytest.fixture(scope="module")
def account(kube: Kube, domain: Domain) -> Iterator[Account]:
    """An identity and two locations that are ready."""
    with ExitStack() as stack:
        made = Account(
            kube,
            domain,
            stack.enter_context(domain.user("src-readers", "dst-writers")),
            stack.enter_context(domain.directory("src")),
            stack.enter_context(domain.directory("dst")),
            stack.enter_context(CountingKdc.reachable(domain).running()),
        )
        made.source.write("a.txt", b"a")
        domain.run("mkdir", "--mode=0777", *(f"{made.destination.inside}/{task}" for task in TASKS))
        servers = {"nameservers": [domain.address]}
        kube.apply(
            *made.belongings(),
            made.identity_named(IDENTITY),
            objects.location(SOURCE, domain.server, "src", IDENTITY, path=made.source.path, **servers),
            objects.location(DESTINATION, domain.server, "dst", IDENTITY, path=made.destination.path, **servers),
        )
        for name in (SOURCE, DESTINATION):
            kube.wait("smblocation", name, "ready", is_("Ready", "True"), timeout=120)
        yield made


def test_a_password_that_was_changed_costs_one_wrong_key_however_many_runs_begin(account: Account) -> None:
    account.domain.set_password(account.user.name)
    account.kdc.proofs = 0
    account.kube.apply(*map(task, TASKS))
    refused_and_patient(account, "the password was changed", at_most=1)


def test_secrets_that_are_filled_with_wrong_keys_then_cost_one_more(account: Account) -> None:
    """In the same interval: the count goes on."""
    now = keytabs.parse(account.user.keytab())[0].kvno
    for filled in range(3):
        account.kube.apply(account.keytab(keytabs.write(never_passwords(account, now, filled))))
        again = check_again(account)
    assert "or until a check of the identity is requested" in condition(again, "KvnoMismatch")["message"]
    refused_and_patient(account, "then three Secrets were filled with wrong keys", at_most=MOST)


def never_passwords(account: Account, kvno: int, salt: int) -> list[keytabs.Entry]:
    """Three versions of keys that the account never had."""
    principal = account.user.principal
    made = (account.domain.make_keytab(principal, f"never {salt} {n}", kvno=kvno + n) for n in (1, 2, 3))
    return [entry for keytab in made for entry in keytabs.parse(keytab)]


def test_runs_that_waited_start_when_the_key_is_right(account: Account) -> None:
    account.kdc.proofs = 0
    account.kube.apply(account.keytab())
    account.check_on_request()
    account.kube.wait("kid", IDENTITY, "ready", is_("Ready", "True"))
    for run in waiting(account.kube):
        done = account.kube.wait("transferrun", run, "over", ended, timeout=120)
        assert done["status"]["state"] == "Succeeded", done["status"]
    assert account.kdc.proofs >= len(TASKS) + 1, (
        "the counter counts: each run proved the key, and the check before them"
    )


def test_agents_that_start_in_the_seconds_after_a_change_do_not_all_try_the_key(account: Account) -> None:
    """The last check found the key good; the password is changed before any has used it."""
    account.domain.set_password(account.user.name)
    account.kdc.proofs = 0
    agents = repeat(account.kube, "--location=", times=5)
    for name in agents:
        account.kube.wait("job", name, "over", lambda job: job["status"].get("conditions"), timeout=90)
    account.kube.wait("kid", IDENTITY, "refused", is_("Ready", "False", "KeytabStale"))
    assert 1 <= account.kdc.proofs <= MOST
    tell(f"the password was changed after the check: {len(agents)} agents at once, {account.kdc.proofs} wrong keys")


def test_identities_of_one_account_cost_no_more_together_than_one_would(
    account: Account, environment: dict[str, str]
) -> None:
    account.kube.apply(account.keytab())
    account.check_on_request()
    elsewhere = new_namespace(environment)
    others = [(account.kube, "like-it"), (account.kube, "like-it-too"), (elsewhere, IDENTITY)]
    for kube, name in others:
        kube.apply(*account.belongings(), account.identity_named(name))
    for kube, name in others:
        kube.wait("kid", name, "ready", is_("Ready", "True"), timeout=90)

    account.domain.set_password(account.user.name)
    account.kdc.proofs = 0
    everyone = [(account.kube, IDENTITY), *others]
    for kube, name in everyone:
        kube.patch("kid", name, {"spec": {"clockSkewTolerance": "4m"}})  # which each of them is checked for
    messages = []
    for kube, name in everyone:
        refused = kube.wait("kid", name, "refused", is_("Ready", "False", "KeytabStale"), timeout=90)
        messages.append(condition(refused, "Ready")["message"])
    assert 1 <= account.kdc.proofs <= MOST
    assert sum("to another identity" in message for message in messages) >= len(everyone) - MOST
    tell(f"the password was changed: {len(everyone)} identities of it in 2 namespaces, {account.kdc.proofs} wrong keys")
    elsewhere.kubectl("delete", "namespace", elsewhere.namespace, "--wait=false")


def task(name: str) -> Object:
    made = objects.task(name, SOURCE, DESTINATION)
    made["spec"]["destination"]["path"] = f"/{name}"
    return made


def waiting(kube: Kube) -> list[str]:
    """The tasks' runs."""
    found = [run["metadata"]["name"] for run in kube.list("transferruns")]
    assert len(found) == len(TASKS)
    return found


def refused_and_patient(account: Account, why: str, *, at_most: int) -> None:
    """The identity is found wanting; then runs wait, without an agent, and however often it is checked again."""
    refused = account.kube.wait("kid", IDENTITY, "refused", is_("Ready", "False"), timeout=90)
    assert condition(refused, "TicketAcquired")["reason"] in KEY_REFUSED
    for _ in range(FURTHER_CHECKS):
        again = check_again(account)
        assert "not tried" in condition(again, "KvnoMismatch")["message"]
    for name in waiting(account.kube):
        account.kube.wait("transferrun", name, "queued", lambda run: run["status"].get("state") == "Queued")
        jobs = account.kube.list("jobs", f"smbferry.io/run={name}")
        assert all(job["status"].get("conditions") for job in jobs), "no agent is at work"
    assert 1 <= account.kdc.proofs <= at_most
    tell(f"{why}: {len(TASKS)} tasks, {FURTHER_CHECKS} checks more, {account.kdc.proofs} wrong keys")


def tell(what: str) -> None:
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    with REPORT.open("a") as report:
        report.write(f"{what}\n")


def check_again(account: Account) -> Object:
    """The identity's last check once more, as the operator makes it every minute; the identity once it has reported."""
    before = account.identity()["status"]["lastCheckTime"]
    repeat(account.kube, "--name")
    return account.kube.wait("kid", IDENTITY, "checked again", lambda kid: kid["status"]["lastCheckTime"] != before)


def repeat(kube: Kube, argument: str, *, times: int = 1) -> list[str]:
    """The last check with such an argument once more, by so many agents at once; the names of their Jobs.

    Without `--location=`, it is one that reports about the identity.
    """
    jobs = [job for job in kube.list("jobs", "app.kubernetes.io/component=check-identity") if _has(job, argument)]
    last = max(jobs, key=lambda job: str(job["metadata"]["creationTimestamp"]))
    spec = {key: value for key, value in last["spec"].items() if key not in {"selector", "manualSelector"}}
    spec["template"] = {**spec["template"], "metadata": {}}
    names = [f"again-{secrets.token_hex(4)}" for _ in range(times)]
    kube.apply(*({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": n}, "spec": spec} for n in names))
    return names


def _has(job: Object, argument: str) -> bool:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    wanted = any(given.startswith(argument) for given in container["args"])
    return wanted and (argument == "--location=" or "--only-locations" not in container["args"])
