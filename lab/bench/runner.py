"""Makes measurements: prepares, runs a client as a child, checks by hash that it did its job, and makes a row of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from typing import TYPE_CHECKING

from blake3 import blake3
from lab.bench import measure
from lab.bench.cases import IN_PLACE, READING, Case, Tree, Work
from lab.bench.job import Job, Side
from lab.bench.measure import ClientError, Usage
from lab.bench.results import Row
from lab.bench.scene import DESTINATION, FILE, SOURCE, WITH_STREAMS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.bench.peers import Peer
    from lab.bench.scene import Fingerprint, Scene
    from lab.bench.schedule import Step

OUTPUT = "out"
TIMEOUT_SECONDS = 600.0
BLOCK = 1 << 20


class Runner:
    """Runs steps in a scene. `ports` are where the server is reached, by round trip: (address, port)."""

    def __init__(self, scene: Scene, ports: Mapping[float, tuple[str, int]], krb5_config: str) -> None:
        self._scene = scene
        self._ports = ports
        self._krb5_config = krb5_config
        self.ciphers: set[str] = set()

    def prepare(self, case: Case) -> None:
        """Everything that a case needs, made before its first round."""
        self._scene.prepare(case.tree)
        if case.work in IN_PLACE:
            self._scene.clone(case.tree)

    def finish(self, case: Case) -> None:
        """Drop what a case needed.

        A rescan's clients say themselves how many files they compared and copied; the first part is looked at besides.

        Raises:
            ClientError: a rescan changed a tree.
        """
        try:
            if case.work in IN_PLACE:
                part = case.tree.part()
                self._compare(self._scene.expected(part), part.name, part, times=True)
        finally:
            self._scene.forget(case.tree)

    def check(self, peer: Peer, case: Case) -> None:
        """Have a client that is about to be timed reading show once what it reads.

        Raises:
            ClientError: it is not what the file holds.
        """
        if case.work is Work.READ and peer.check is not None:
            job = self._job(case, case.tree, "")
            used = measure.run(peer.check(job), self._scene.scratch, timeout=TIMEOUT_SECONDS)
            wanted, found = self._local_hash(case.tree, "sha256"), used.outputs[0].split()[0].decode()
            if found != wanted:
                raise ClientError(f"SHA-256 {wanted} to read, {peer.title} read {found}")

    def measure(self, step: Step) -> Row:
        """One measurement; a failure of the client becomes the row's error."""
        case, peer = step.case, step.peer
        tree = peer.share_of(case)
        try:
            used, served, forecast = self._run(step, tree)
        except ClientError as error:
            return Row.failed(case.name, peer.name, step.round, str(error))
        return Row(
            case.name,
            peer.name,
            step.round,
            used.seconds,
            tree.files,
            tree.bytes,
            used.cpu_seconds,
            served,
            used.peak_bytes,
            forecast_seconds=forecast,
        )

    def _run(self, step: Step, tree: Tree) -> tuple[Usage, float, float]:
        """What the clients used, the server's CPU seconds meanwhile, and how long a survey said that it would take."""
        case, peer, scene = step.case, step.peer, self._scene
        output = tree.name if case.work in IN_PLACE else OUTPUT
        if case.work not in IN_PLACE:
            scene.empty_destination(OUTPUT)
        if case.work is Work.MEND:
            scene.grant(tree, step.round)
        job = self._job(case, tree, output)
        before = scene.server_cpu_seconds()
        used = measure.run(peer.stages(job), scene.scratch, timeout=TIMEOUT_SECONDS)
        served = scene.server_cpu_seconds() - before
        shutil.rmtree(job.scratch)
        said = [json.loads(output) for output in used.outputs if output.startswith(b"{")]
        for answer in said:
            self._judge(answer, case, tree)
        if case.work not in READING | IN_PLACE:
            self._compare(scene.expected(tree), OUTPUT, tree, times=peer.times and case.work is Work.TREE)
        # A worker times itself from before it connects: starting Python is no part of the job.
        if said:
            used = dataclasses.replace(used, seconds=max(answer["seconds"] for answer in said))
        return used, served, sum(answer.get("forecast", 0.0) for answer in said)

    def _judge(self, answer: Mapping[str, object], case: Case, tree: Tree) -> None:
        """What a worker says of what it did."""
        if "cipher" in answer:
            self.ciphers.add(str(answer["cipher"]))
        if "digest" in answer and answer["digest"] != self._local_hash(tree, "blake3"):
            raise ClientError(f"BLAKE3 {answer['digest']} was read, the file has {self._local_hash(tree, 'blake3')}")
        if case.work in IN_PLACE | {Work.SURVEY} and answer["listed"] != tree.files:
            raise ClientError(f"{tree.files} files to look at, {answer['listed']} were")

    def _compare(self, wanted: Fingerprint, name: str, tree: Tree, *, times: bool) -> None:
        found = self._scene.fingerprint(DESTINATION, name, descriptors=tree.protected)
        kinds = [
            "files",
            "bytes",
            "content",
            *(["times"] if times else []),
            *(["descriptors"] if tree.protected else []),
        ]
        wrong = [kind for kind in kinds if getattr(wanted, kind) != getattr(found, kind)]
        if wrong:
            raise ClientError(f"the copy is not the source: {', '.join(wrong)} differ ({wanted}, found {found})")

    def _job(self, case: Case, tree: Tree, output: str) -> Job:
        scene = self._scene
        address, port = self._ports[case.round_trip]
        scratch: Path = scene.scratch / "tree"
        scratch.mkdir(exist_ok=True)
        destination = scene.destination
        source = destination if case.one_identity else scene.source
        volume = WITH_STREAMS if case.streams else ""
        return Job(
            work=case.work,
            server=scene.domain.server,
            address=address,
            port=port,
            krb5_config=self._krb5_config,
            source=Side(SOURCE + volume, scene.path(tree.name), source.principal, source.ccache),
            destination=Side(DESTINATION + volume, scene.path(output), destination.principal, destination.ccache),
            name=FILE if tree.single else "",
            size=tree.bytes if tree.single else 0,
            local=str(scene.local_file(tree)) if tree.single else "",
            scratch=str(scratch),
            descriptors=tree.protected,
            by_server=case.one_identity and tree.single,
        )

    def _local_hash(self, tree: Tree, kind: str) -> str:
        """The hash of the local file, which was made from the same seed as the source's."""
        hasher = blake3() if kind == "blake3" else hashlib.sha256()
        with self._scene.local_file(tree).open("rb") as source:
            while block := source.read(BLOCK):
                hasher.update(block)
        return hasher.hexdigest()
