"""`make demo`: starts a domain and a cluster, copies a tree, compares both sides, then breaks a keytab and fixes it.

Every step shows what it does and how long it took. A second run reuses existing parts.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.smblab import product, status
from lab.smblab.errors import LabError
from lab.smblab.progress import Progress, left, seconds
from lab.smblab.settings import current
from lab.support.cluster.api import ApiError
from lab.support.cluster.kube import Kube, condition, ended, is_
from lab.support.domain.domain import Domain
from lab.support.domain.machine import Directory
from lab.support.domain.trees import Tree, Wanted, differences, odd, small
from lab.support.environment import lab_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.support.cluster.kube import Object

ROOT = Path(__file__).resolve().parents[1]
LAB = str(ROOT / "lab" / "lab")
NAMESPACE = "smbferry-demo"
BIG_FILE_BYTES = 512 << 20
CLI_SOURCES = ("cli/src", "agent_image/src", "crds/src")
USERS = ("svc-src", "svc-dst")
NEEDED = ("docker", "domain", "cluster")
STEPS = {
    "lab": "Start the domain and the cluster",
    "images": "Build the images of operator and agent",
    "seed": "Create 2,000 small files, files with unusual names and one file of 512 MiB on the source share",
    "install": "Install the chart with Helm",
    "apply": "Create identities, locations and a task with kubectl apply -f examples/basic",
    "transfer": "Transfer the files",
    "compare": "Compare both trees by hash",
    "kvno": "Change the password in the domain, then replace the stale keytab",
}
"""All steps, in order."""
BY_MACHINE = ("lab", "images")
"""Steps that a machine which has taken them before takes in another time."""


class DemoError(Exception):
    """The demo cannot continue; the message says what was expected and what was found."""


class Demo:
    """The steps and what they share. Durations of the steps are kept for the end."""

    def __init__(self, *, lab_was_up: bool) -> None:
        self.progress = Progress(current().cache / "durations.json")
        self.machine = "up" if lab_was_up else "built" if self.progress.knows("cluster") else "new"
        self.times: list[tuple[str, float]] = []
        self.environment: dict[str, str] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announces and times one of the STEPS, which are taken in their order."""
        what, number = STEPS[name], len(self.times)
        in_all = self.progress.expected(*map(self._key, list(STEPS)[number:]))
        print(f"\n\033[1m{number + 1}. {what}\033[0m (in total: {left(in_all, 0)})", flush=True)
        began = time.monotonic()
        with self.progress.step(self._key(name), what):
            yield
        self.times.append((what, time.monotonic() - began))

    def _key(self, name: str) -> str:
        return f"demo-{name}-{self.machine}" if name in BY_MACHINE else f"demo-{name}"

    def run(self, *command: str, stdin: str | None = None, quiet: bool = True, shown: str = "") -> str:
        """Runs a command in the lab's environment; with `quiet=False` shows command and output as a person would see.

        Args:
            shown: the command as a person would type it, if that is another.

        Raises:
            DemoError: it ended with an error.
        """
        if not quiet:
            print(f"\n$ {shown or ' '.join(command)}", flush=True)
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DemoError(f"{' '.join(command)[:120]}: {done.stderr.strip() or done.stdout.strip()}")
        if not quiet:
            print(done.stdout, end="", flush=True)
        return done.stdout

    def kubectl(self, *arguments: str, stdin: str | None = None, quiet: bool = True) -> str:
        """kubectl in the demo's namespace."""
        return self.run("kubectl", "-n", NAMESPACE, *arguments, stdin=stdin, quiet=quiet)

    def smbferry(self, *arguments: str) -> None:
        """The command line in the demo's namespace, from this checkout."""
        words = (*arguments, "-n", NAMESPACE)
        paths = f"PYTHONPATH={':'.join(str(ROOT / path) for path in CLI_SOURCES)}"
        command = ("env", paths, sys.executable, "-m", "smbferry_cli.main", *words)
        self.run(*command, quiet=False, shown=f"smbferry {' '.join(words)}")

    def get(self, kind: str, name: str) -> Object:
        """One object."""
        return dict(json.loads(self.kubectl("get", kind, name, "-o", "json")))

    def wait(self, kind: str, name: str, holds: Callable[[Object], object], *, timeout: float) -> None:
        """Waits until `holds` is true of the object.

        Raises:
            DemoError: not in time; the message has its status and what is around it.
        """
        try:
            Kube(self.environment, NAMESPACE).wait(kind, name, "where it should be", holds, timeout=timeout)
        except AssertionError as error:
            raise DemoError(str(error)) from error


def lab_is_up() -> bool:
    """Whether all of the lab that the demo needs runs already."""
    return all(part.up for part in status.find(current()) if part.name in NEEDED)


def start_lab(demo: Demo) -> Domain:
    """Domain and cluster, and the environment to reach them."""
    if subprocess.run([LAB, "up", "domain", "cluster"], cwd=ROOT, check=False).returncode:
        raise DemoError("the lab did not start; see above")
    demo.environment = lab_environment()
    return Domain.from_environment(demo.environment)


def teach_dns(demo: Demo, domain: Domain) -> None:
    """The cluster's DNS asks the domain's for the domain's names, as a cluster beside a domain usually does."""
    config = json.loads(demo.run("kubectl", "-n", "kube-system", "get", "configmap", "coredns", "-o", "json"))
    zone = domain.realm.lower()
    reverse = ".".join(reversed(domain.address.split(".")[:3])) + ".in-addr.arpa"
    block = f"{zone}:53 {reverse}:53 {{\n    errors\n    cache 5\n    forward . {domain.address}\n}}\n"
    rest = config["data"]["Corefile"].split(f"{zone}:53 ")[0]
    if config["data"]["Corefile"] == rest + block:
        return
    patch = json.dumps({"data": {"Corefile": rest + block}})
    demo.run("kubectl", "-n", "kube-system", "patch", "configmap", "coredns", "--type=merge", "-p", patch)
    demo.run("kubectl", "-n", "kube-system", "rollout", "restart", "deployment/coredns")
    demo.run("kubectl", "-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s")


def seed(domain: Domain) -> tuple[Directory, Directory]:
    """A tree with 2,000 small files in nested folders, odd names and one big file; an empty destination."""
    source, destination = Directory(domain, "src", "demo"), Directory(domain, "dst", "demo")
    domain.run("rm", "-rf", "--", destination.inside)
    for directory in (source, destination):
        domain.run("mkdir", "--parents", "--mode=0777", directory.inside)
    wanted = [*odd(), *small(2000), Wanted("big/one file.bin", size=BIG_FILE_BYTES)]
    present = domain.run("sh", "-c", f"find '{source.inside}' -type f | wc -l").text.strip()
    if int(present) != sum(w.kind == "file" for w in wanted):
        source.seed(wanted)
    return source, destination


def store_keytab(demo: Demo, user: str, keytab: bytes) -> None:
    """The user's keytab into its Secret, as `kubectl create secret --from-file` would."""
    path = Path(current().cache / "tmp" / f"{secrets.token_hex(4)}.keytab")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(keytab)
    try:
        made = demo.kubectl(
            "create",
            "secret",
            "generic",
            f"{user}-keytab",
            f"--from-file=keytab={path}",
            "--dry-run=client",
            "-o",
            "yaml",
        )
        demo.kubectl("apply", "-f", "-", stdin=made)
    finally:
        path.unlink()


def apply_examples(demo: Demo, domain: Domain) -> None:
    """A fresh namespace under Pod Security restricted, two keytabs, and examples/ as they stand."""
    demo.run("kubectl", "create", "namespace", NAMESPACE)
    demo.run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    for user in USERS:
        store_keytab(demo, user, domain.export_keytab(user))
    demo.kubectl("apply", "-f", "examples/basic", quiet=False)
    for kind, names in (("kerberosidentity", USERS), ("smblocation", ("source", "destination"))):
        for name in names:
            demo.wait(kind, name, is_("Ready", "True"), timeout=90)
    demo.kubectl("get", "smbferry", quiet=False)


def newest_run(demo: Demo) -> str | None:
    """The name of the task's newest run."""
    runs = json.loads(demo.kubectl("get", "transferrun", "-o", "json"))["items"]
    runs.sort(key=lambda r: r["metadata"]["creationTimestamp"])
    return str(runs[-1]["metadata"]["name"]) if runs else None


def watch_run(demo: Demo, *, other_than: str | None = None) -> str:
    """Shows a run's progress until it ends; returns its name.

    Raises:
        DemoError: no run came, or it did not succeed.
    """
    until = time.monotonic() + 90
    while (name := newest_run(demo)) in {None, other_than}:
        if time.monotonic() > until:
            raise DemoError("expected a run within 90 s, got none")
        time.sleep(0.3)
    shown = ""
    until = time.monotonic() + 300
    while True:
        run = demo.get("transferrun", str(name))
        status = run.get("status", {})
        at = status.get("progress", {})
        line = f"   {status.get('state', '…'):13} {at.get('percent', ''):>5}  files {at.get('files', ''):13}"
        line += f" bytes {at.get('bytes', ''):25} {at.get('rate', '')}"
        if line != shown:
            print(line, flush=True)
            shown = line
        if ended(run):
            break
        if time.monotonic() > until:
            raise DemoError(f"expected {name} to end within 5 minutes, got state {status.get('state')}")
        time.sleep(0.5)
    demo.kubectl("get", "transferrun", str(name), quiet=False)
    if status["state"] != "Succeeded":
        raise DemoError(
            f"expected {name} to succeed, got state {status['state']}: "
            f"{json.dumps(status.get('failure') or status.get('failures'))}"
        )
    return str(name)


def compare(source: Tree, destination: Tree) -> None:
    """Both trees by SHA-256, from both sides.

    Raises:
        DemoError: they differ.
    """
    found = differences(source, destination, times=True)
    if found:
        raise DemoError(f"expected identical trees, found {len(found)} differences; first: {found[:5]}")
    size = sum(e.size for e in source.values())
    print(f"   {len(source)} entries, {size / 1e6:.0f} MB: SHA-256, size and write time match in both directions")


def show_condition(demo: Demo, name: str, *types: str) -> None:
    """Prints conditions of an identity as they stand."""
    obj = demo.get("kerberosidentity", name)
    for type_ in types:
        found = condition(obj, type_)
        print(f"   {type_}={found.get('status')}  {found.get('reason')}\n     {found.get('message')}", flush=True)


def kvno_story(demo: Demo, domain: Domain, last_run: str) -> None:
    """A password change makes the keytab stale; smbferry says so; a new keytab fixes it and the task runs."""
    identity = "svc-src"
    print(f"\n   changing the password of {identity} in the domain …")
    domain.set_password(identity)
    demo.smbferry("recheck", f"identity/{identity}")
    demo.wait("kerberosidentity", identity, is_("KvnoMismatch", "True"), timeout=60)
    demo.wait("kerberosidentity", identity, lambda o: condition(o, "Ready").get("status") == "False", timeout=30)
    show_condition(demo, identity, "KvnoMismatch", "Ready")
    demo.kubectl("get", "kid", quiet=False)
    print("\n   writing a new keytab to the Secret …", flush=True)
    renewed = domain.export_keytab(identity)
    (current().keytabs / f"{identity}.keytab").write_bytes(renewed)  # the lab's own copy would be stale too
    store_keytab(demo, identity, renewed)
    demo.wait("kerberosidentity", identity, is_("Ready", "True"), timeout=150)
    show_condition(demo, identity, "KvnoMismatch", "Ready")
    demo.smbferry("trigger", "nightly")
    watch_run(demo, other_than=last_run)


def forget_earlier(demo: Demo) -> None:
    """The namespace of an earlier demo goes first: its task would copy as soon as the destination is emptied."""
    demo.run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true")


def show(demo: Demo, domain: Domain) -> None:
    """All steps."""
    with demo.step("images"):
        if subprocess.run(
            [LAB, "build", "operator", "agent"], cwd=ROOT, check=False, stdout=subprocess.DEVNULL
        ).returncode:
            raise DemoError("the images were not built; see above")
        subprocess.run([LAB, "load", "smbferry-operator:dev", "smbferry-agent:dev"], cwd=ROOT, check=True)
    with demo.step("seed"):
        forget_earlier(demo)
        source, destination = seed(domain)
        teach_dns(demo, domain)
    with demo.step("install"):
        demo.run(*product.helm_upgrade(demo.environment), quiet=False)
    with demo.step("apply"):
        apply_examples(demo, domain)
    with demo.step("transfer"):
        last_run = watch_run(demo)
    with demo.step("compare"):
        compare(source.tree(), destination.tree())
    with demo.step("kvno"):
        kvno_story(demo, domain, last_run)
    print("\n\033[1mResult\033[0m", flush=True)
    demo.kubectl("get", "smbferry", quiet=False)


def main() -> int:
    """The demo; 0 when every step did what it should."""
    began = time.monotonic()
    try:
        demo = Demo(lab_was_up=lab_is_up())
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    keep = bool(os.environ.get("SMBFERRY_KEEP_LAB")) or demo.machine == "up"
    try:
        with demo.step("lab"):
            domain = start_lab(demo)
        show(demo, domain)
    except (DemoError, LabError, ApiError, subprocess.CalledProcessError, KeyboardInterrupt) as error:
        print(f"\ndemo: {str(error) or 'interrupted'}", file=sys.stderr)
        if keep:
            print("demo: the lab was already running and stays; `make demo-down` removes it", file=sys.stderr)
        else:
            print("demo: cleaning up (set SMBFERRY_KEEP_LAB=1 to keep the lab for inspection)", file=sys.stderr)
            subprocess.run([LAB, "down"], cwd=ROOT, check=False)
        return 1
    print("\n\033[1mDurations\033[0m")
    for what, took in demo.times:
        print(f"  {seconds(took):>12}  {what}")
    print(f"  {seconds(time.monotonic() - began):>12}  in total")
    print(f'\nTo inspect the objects: eval "$(lab/lab env)"; kubectl -n {NAMESPACE} describe smbferry')
    print("To remove the demo: make demo-down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
