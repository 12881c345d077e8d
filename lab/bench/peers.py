"""Who is measured, and the commands with which each does a job. Pure: commands are built here and run elsewhere."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.bench.cases import BY_DESCRIPTOR, Case, Tree, Unit, Work
from lab.bench.measure import Command, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.bench.job import Job, Side

ALL = frozenset(Work)
# What clients do that copy no descriptors and forecast nothing.
PLAIN = ALL - BY_DESCRIPTOR - {Work.SURVEY, Work.FORECAST}
ONE_FILE = frozenset({Work.READ, Work.WRITE, Work.COPY})
TREES = frozenset({Work.TREE, Work.RESCAN})
MEMORY_CASES = frozenset({"million", "survey-million"})


@dataclass(frozen=True, slots=True)
class Peer:
    """A client. `stages` gives its commands for a job, `start` what shows how long it takes to start at all.

    It tells no hash of what it only reads: `check` hashes that, once. `parts` are the works that it is measured with on
    a tenth of the tree, `far_parts` those over a long line: it does one file after the other, so that its rate does not
    depend on the tree's size and the whole would only take minutes. With `descriptors` it can copy owner and DACL, with
    `times` it copies times.
    """

    name: str
    title: str
    works: frozenset[Work]
    stages: Callable[[Job], list[Stage]]
    check: Callable[[Job], list[Stage]] | None = None
    start: tuple[str, ...] = ()
    parts: frozenset[Work] = frozenset()
    far_parts: frozenset[Work] = frozenset()
    descriptors: bool = False
    times: bool = True

    def takes_part(self, case: Case) -> bool:
        """Whether it is measured in a case."""
        if case.tree.protected and not self.descriptors:
            return False
        if case.one_identity or self.name in (STREAMED, STREAMED_VERIFIED):
            return case.one_identity and self.name in ON_ONE_SERVER
        if case.streams or self.name == IGNORING:
            return case.streams and self.name in (ENGINE, IGNORING)
        if case.name in MEMORY_CASES:
            return self.name == ENGINE
        return case.work in self.works and (case.unit is Unit.BYTES or self.name != LIMIT)

    def share_of(self, case: Case) -> Tree:
        """The tree that it is given in a case, or a part of it."""
        parts = self.far_parts if case.round_trip else self.parts
        return case.tree.part() if case.work in parts else case.tree


def python(module: str, job: Job) -> Command:
    """A worker of the bench, told its job."""
    return Command((sys.executable, "-m", f"lab.bench.{module}", job.to_json()))


def engine(job: Job) -> list[Stage]:
    """The engine without verification."""
    return [(python("engine_worker", job),)]


def engine_streamed(job: Job) -> list[Stage]:
    """The engine, all of whose content passes through it, without verification."""
    return engine(replace(job, stream=True, by_server=False))


def engine_streamed_verified(job: Job) -> list[Stage]:
    """The same with what it wrote read back."""
    return engine_verified(replace(job, stream=True, by_server=False))


def engine_verified(job: Job) -> list[Stage]:
    """The engine with what it wrote read back."""
    return [(python("engine_worker", replace(job, verify=True)),)]


def engine_ignoring(job: Job) -> list[Stage]:
    """The engine without verification, which looks for no streams."""
    return engine(replace(job, ignore_attachments=True))


def limit(job: Job) -> list[Stage]:
    """The engine's read alone and write alone at the same time: what a copy could reach if it cost nothing itself."""
    alone = (replace(job, work=work) for work in (Work.READ, Work.WRITE))
    return [tuple(python("engine_worker", one) for one in alone)]


def to_hash(stages: list[Stage]) -> list[Stage]:
    """The same with what it reads hashed instead of dropped: SHA-256 in hex is the output."""
    (stage,) = stages
    return [(*(replace(command, silent=False) for command in stage), Command(("sha256sum",), piped=True))]


def smbprotocol(job: Job) -> list[Stage]:
    """smbprotocol's own client."""
    return [(python("smbprotocol_worker", job),)]


def smbprotocol_check(job: Job) -> list[Stage]:
    """The file that is read, hashed."""
    return to_hash(smbprotocol(replace(job, show=True)))


def rclone_check(job: Job) -> list[Stage]:
    """The file that is read, hashed."""
    return to_hash(rclone(4)(job))


def rclone(transfers: int) -> Callable[[Job], list[Stage]]:
    """rclone with so many transfers, and twice as many checkers, as its documentation advises for many small files."""

    def stages(job: Job) -> list[Stage]:
        ours, theirs = _remote("src", job.source, job.name), _remote("dst", job.destination, job.name)
        match job.work:
            case Work.READ:
                words = ["cat", ours]
            case Work.WRITE:
                words = ["copyto", job.local, theirs]
            case Work.COPY:
                words = ["copyto", ours, theirs]
            case Work.TREE:
                words = ["copy", ours, theirs]
            case Work.RESCAN:
                # An error where anything would be copied: the trees are the same.
                words = ["copy", ours, theirs, "--immutable"]
        flags = ["--config=", "--quiet", f"--transfers={transfers}", f"--checkers={2 * transfers}"]
        env = {**_rclone_side("SRC", job, job.source), **_rclone_side("DST", job, job.destination)}
        return [(Command(("rclone", *flags, *words), env, silent=True),)]

    return stages


def _remote(name: str, side: Side, file: str) -> str:
    return f"{name}:{side.share}/{side.path}" + (f"/{file}" if file else "")


def _rclone_side(name: str, job: Job, side: Side) -> Mapping[str, str]:
    settings = {
        "TYPE": "smb",
        "HOST": job.address,
        "PORT": str(job.port),
        "SPN": f"cifs/{job.server}",
        "USER": side.principal.partition("@")[0],
        "USE_KERBEROS": "true",
        "KERBEROS_CCACHE": side.ccache,
    }
    return {"KRB5_CONFIG": job.krb5_config} | {f"RCLONE_CONFIG_{name}_{key}": value for key, value in settings.items()}


def smbclient(job: Job) -> list[Stage]:
    """Samba's smbclient: from server to server by a pipe, trees by way of a local folder in memory."""
    ours, theirs = f"{job.source.path}/{job.name}", f"{job.destination.path}/{job.name}"
    match job.work:
        case Work.READ:
            return [(_smbclient(job, job.source, f'get "{ours}" /dev/null'),)]
        case Work.WRITE:
            return [(_smbclient(job, job.destination, f'put "{job.local}" "{theirs}"'),)]
        case Work.COPY:
            get = _smbclient(job, job.source, f'get "{ours}" -')
            return [(get, replace(_smbclient(job, job.destination, f'put - "{theirs}"'), piped=True))]
        case _:
            whole = f'recurse ON;prompt OFF;lcd "{job.scratch}"'
            get = _smbclient(job, job.source, f'{whole};cd "{job.source.path}";mget *')
            put = _smbclient(job, job.destination, f'{whole};cd "{job.destination.path}";mput *')
            return [(get,), (put,)]


def smbclient_check(job: Job) -> list[Stage]:
    """The file that is read, hashed."""
    return to_hash([(_smbclient(job, job.source, f'get "{job.source.path}/{job.name}" -'),)])


def _smbclient(job: Job, side: Side, commands: str) -> Command:
    words = (
        "smbclient", f"//{job.server}/{side.share}", f"--ip-address={job.address}", f"--port={job.port}",
        "--use-kerberos=required", f"--use-krb5-ccache={side.ccache}", "--client-protection=encrypt",
        "--debuglevel=0", "-c", commands,
    )  # fmt: skip
    return Command(words, {"KRB5CCNAME": side.ccache, "KRB5_CONFIG": job.krb5_config})


ENGINE, VERIFIED, LIMIT = "smbferry", "smbferry-verify", "limit"
STREAMED, STREAMED_VERIFIED = "smbferry-streamed", "smbferry-streamed-verify"
IGNORING = "smbferry-ignoring"
ON_ONE_SERVER = frozenset({ENGINE, VERIFIED, STREAMED, STREAMED_VERIFIED})
RCLONE, RCLONE_16, SMBCLIENT, SMBPROTOCOL = "rclone", "rclone-16", "smbclient", "smbprotocol"

PEERS = (
    Peer(ENGINE, "smbferry", ALL, engine, descriptors=True),
    Peer(VERIFIED, "smbferry, verified", frozenset({Work.COPY, Work.TREE}), engine_verified, descriptors=True),
    Peer(STREAMED, "smbferry, streamed", frozenset({Work.COPY, Work.TREE}), engine_streamed),
    Peer(STREAMED_VERIFIED, "smbferry, streamed and verified", frozenset({Work.COPY, Work.TREE}),
         engine_streamed_verified),
    Peer(IGNORING, "smbferry, streams ignored", frozenset({Work.TREE}), engine_ignoring),
    Peer(LIMIT, "the limit", frozenset({Work.COPY}), limit),
    Peer(RCLONE, "rclone", PLAIN, rclone(4), rclone_check, ("rclone", "version")),
    Peer(RCLONE_16, "rclone, 16 transfers", TREES, rclone(16), start=("rclone", "version")),
    Peer(
        SMBCLIENT, "smbclient", ONE_FILE | {Work.TREE}, smbclient, smbclient_check, ("smbclient", "--version"),
        far_parts=TREES, times=False,
    ),
    Peer(SMBPROTOCOL, "smbprotocol", PLAIN, smbprotocol, smbprotocol_check, parts=TREES, far_parts=TREES),
)  # fmt: skip
