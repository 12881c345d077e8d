"""Runs inside the domain controller (python3 -c) and makes, protects, fingerprints and empties the bench's trees.

Standard library and, for security descriptors, Samba's own modules. The bench imports it too, for the layout alone.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLOCK = 1 << 20
PER_FOLDER = 100
PARTS = 10
NTACL = "security.NTACL"
READ_AND_EXECUTE = 0x1200A9
# Whole milliseconds: the finest that every client compared here carries over.
FIRST_WRITE_NS = 1_700_000_000_250_000_000
STEP_NS = 1_001_000_000


def path_of(number: int) -> str:
    """Where file `number` of a tree lies: `PER_FOLDER` to a folder, folders dealt out to `PARTS` parts."""
    folder = number // PER_FOLDER
    return f"part-{folder % PARTS}/folder-{folder:05d}/file-{number:07d}.dat"


def content(size: int, seed: int) -> Iterator[bytes]:
    """`size` bytes that no server can compress, the same for the same seed."""
    source = random.Random(seed)
    while size > 0:
        yield source.randbytes(min(BLOCK, size))
        size -= BLOCK


def seed_file(path: str, size: int) -> None:
    """Make one file."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as sink:
        sink.writelines(content(size, size))
    os.utime(target, ns=(FIRST_WRITE_NS, FIRST_WRITE_NS))


def seed_tree(root: str, sizes: Sequence[int]) -> None:
    """Make a tree of files of the given sizes; everyone may change it. Write times are distinct and in the past."""
    made: set[Path] = set()
    for number, size in enumerate(sizes):
        target = Path(root, path_of(number))
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        with target.open("wb") as sink:
            sink.writelines(content(size, number))
        os.utime(target, ns=(FIRST_WRITE_NS + number * STEP_NS,) * 2)
    for number, folder in enumerate(sorted(made, reverse=True)):
        os.utime(folder, ns=(FIRST_WRITE_NS - number * STEP_NS,) * 2)


def clone(source: str, target: str) -> None:
    """Copy a tree with its times and descriptors (extended attributes go along), as a client would have left it."""
    shutil.copytree(source, target, symlinks=True)
    open_up(target)


def open_up(root: str) -> None:
    """Let every user change what is below."""
    for directory, _, files in os.walk(root):
        Path(directory).chmod(0o777)
        for name in files:
            Path(directory, name).chmod(0o666)


def empty(root: str) -> None:
    """Remove everything below, and make the folder itself where it isn't there."""
    shutil.rmtree(root, ignore_errors=True)
    Path(root).mkdir(mode=0o777, parents=True)
    Path(root).chmod(0o777)


def _samba() -> tuple[Any, Any, Any]:
    """Samba's own modules, which only the domain controller has: security, xattr, ndr."""
    names = ("samba.dcerpc.security", "samba.dcerpc.xattr", "samba.ndr")
    security, xattr, ndr = (importlib.import_module(name) for name in names)
    return security, xattr, ndr


def protect(root: str, owner: str) -> None:
    """Give every entry below a descriptor with `owner` (a name) and an access list of its own."""
    packed = _packed(owner, READ_AND_EXECUTE)
    for directory, folders, files in os.walk(root):
        for name in folders + files:
            os.setxattr(str(Path(directory, name)), NTACL, packed)


def grant(path: str, owner: str, number: int) -> None:
    """Give `owner` (a name) other rights to a file than those that :func:`protect` gives, and than for another
    `number`.
    """
    os.setxattr(path, NTACL, _packed(owner, READ_AND_EXECUTE | 1 << (1 + number % 2)))


def _packed(owner: str, rights: int) -> bytes:
    """The stored form of a descriptor in which `owner` (a name) has these rights."""
    security, xattr, ndr = _samba()
    sid = subprocess.run(["wbinfo", "--name-to-sid", owner], check=True, capture_output=True, text=True).stdout.split()[
        0
    ]
    domain = sid.rpartition("-")[0]
    # As numbers: this Samba reads FA as the rights of directory services.
    access = f"(A;;0x1f01ff;;;WD)(A;;0x{rights:x};;;{sid})(A;;0x1f01ff;;;BA)"
    wrapped = xattr.NTACL()
    wrapped.version = 1
    wrapped.info = security.descriptor.from_sddl(f"O:{sid}G:{domain}-513D:P{access}", security.dom_sid(domain))
    packed: bytes = ndr.ndr_pack(wrapped)
    return packed


def descriptor(path: str) -> str:
    """Owner and access list of an entry, as SDDL; empty where it has none of its own."""
    security, xattr, ndr = _samba()

    try:
        packed = os.getxattr(path, NTACL)
    except OSError:
        return ""
    info: Any = ndr.ndr_unpack(xattr.NTACL, packed).info
    found = info if isinstance(info, security.descriptor) else info.sd
    return f"{found.owner_sid} " + " ".join(f"{ace.type}/{ace.access_mask:x}/{ace.trustee}" for ace in found.dacl.aces)


def fingerprint(root: str, *, descriptors: bool) -> dict[str, object]:
    """What a tree holds: counts, and digests of its names and content, its files' write times, its descriptors.

    A digest stands for all entries in the order of their paths, so two trees with equal digests are equal.
    """
    names, times, access = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
    files = size = 0
    for path in _entries(root):
        relative = os.fsencode(path.relative_to(root))
        if descriptors:
            access.update(relative + b"\0" + descriptor(str(path)).encode() + b"\0")
        if path.is_dir():
            names.update(relative + b"/\0")
            continue
        state = path.stat()
        with path.open("rb") as source:
            names.update(relative + b"\0" + hashlib.file_digest(source, "sha256").digest())
        times.update(relative + b"\0" + str(state.st_mtime_ns // 1_000_000).encode() + b"\0")
        files += 1
        size += state.st_size
    return {
        "files": files,
        "bytes": size,
        "content": names.hexdigest(),
        "times": times.hexdigest(),
        "descriptors": access.hexdigest() if descriptors else "",
    }


def _entries(root: str) -> Iterator[Path]:
    top = Path(root)
    if top.is_file():
        yield top
    for directory, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(folders + files):
            yield Path(directory, name)


def main(command: str, *arguments: str) -> None:
    """One command; its answer goes to standard output as JSON."""
    match command, *arguments:
        case "seed-file", path, size:
            seed_file(path, int(size))
        case "seed-tree", root, file:
            seed_tree(root, json.loads(Path(file).read_text()))
            open_up(root)
        case "clone", source, target:
            clone(source, target)
        case "empty", root:
            empty(root)
        case "protect", root, owner:
            protect(root, owner)
        case "grant", path, owner, number:
            grant(path, owner, int(number))
        case "fingerprint", root, descriptors:
            json.dump(fingerprint(root, descriptors=descriptors == "yes"), sys.stdout)
        case _:
            sys.exit(f"no such command: {command}")


if __name__ == "__main__":
    main(*sys.argv[1:])
