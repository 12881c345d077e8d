"""Runs inside a file server's container, within `inside.py`: security descriptors as Samba keeps them on its disk.

They are read and written as the extended attribute of vfs_acl_xattr, by Samba's own marshalling: nothing of the engine
and no SMB is between. What is inherited follows MS-DTYP 2.5.3.4.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samba.dcerpc import security, xattr  # type: ignore[import-not-found]  # only the container has it
from samba.ndr import ndr_pack, ndr_unpack  # type: ignore[import-not-found]  # as above

if TYPE_CHECKING:
    from collections.abc import Iterator

NTACL, DOSATTRIB = "security.NTACL", "user.DOSATTRIB"
OBJECT, CONTAINER, NO_PROPAGATE, INHERIT_ONLY, INHERITED = 0x01, 0x02, 0x04, 0x08, 0x10
ALLOWED = 0x00
CREATORS = {"S-1-3-0": "owner_sid", "S-1-3-1": "group_sid"}
Ace = tuple[int, int, int, str]


def describe(root: str, wanted: dict[str, str], domain_sid: str) -> None:
    """Gives each path below `root` ("" is itself) the descriptor of its SDDL, control bits included."""
    for path, sddl in wanted.items():
        _put(Path(root, path), security.descriptor.from_sddl(sddl, security.dom_sid(domain_sid)))


def settle(root: str) -> None:
    """Gives everything below `root`, and itself, that has no descriptor yet the one that it inherits from its folder.

    Owner and group are those of the folder, as if whoever owns it had made everything.
    """
    folder = Path(root)
    if not _has(folder):
        _put(folder, _inherited(_get(folder.parent), container=True))
    for directory, folders, files in os.walk(root):
        above = _get(Path(directory))
        for name in folders + files:
            path = Path(directory, name)
            if not path.is_symlink() and not _has(path):
                _put(path, _inherited(above, container=name in folders))


def look(root: str) -> dict[str, dict[str, object]]:
    """Path below `root` ("" is itself) → owner, group, control bits, both lists, attributes and times.

    An entry of a list is type, flags, mask and trustee; times are in 100 ns since 1601 (created) and in ns since 1970
    (written).
    """
    return {_named(path, root): _shown(path) for path in _walk(Path(root))}


def let_in(root: str) -> dict[str, tuple[bool, int, list[str] | None]]:
    """Path below `root` ("" is itself) → whether it is a folder, its size, and whom its access list lets in.

    None for a list that is not there. What vanishes meanwhile is left out: this looks at folders that are written to.
    """
    found = {}
    for path in _walk(Path(root)):
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        try:
            # Size before list: an object gets its list before its content.
            state = os.fstat(file)
            kept = _of(os.getxattr(file, NTACL)) if NTACL in os.listxattr(file) else None
        finally:
            os.close(file)
        allowed = None if kept is None else [trustee for kind, _, _, trustee in _aces(kept.dacl) if kind == ALLOWED]
        found[_named(path, root)] = (stat.S_ISDIR(state.st_mode), state.st_size, allowed)
    return found


def _named(path: Path, root: str) -> str:
    return "" if path == Path(root) else str(path.relative_to(root))


def _walk(root: Path) -> Iterator[Path]:
    yield root
    for directory, folders, files in os.walk(root):
        for name in folders + files:
            if not (path := Path(directory, name)).is_symlink():
                yield path


def _shown(path: Path) -> dict[str, object]:
    kept, state = _get(path) if _has(path) else None, path.stat()
    shown: dict[str, object] = {"written": state.st_mtime_ns, "attributes": None, "created": None}
    if DOSATTRIB in os.listxattr(path):
        info = ndr_unpack(xattr.DOSATTRIB, os.getxattr(path, DOSATTRIB)).info
        shown |= {"attributes": info.attrib, "created": info.create_time}
    if kept is not None:
        shown |= {"owner": str(kept.owner_sid), "group": str(kept.group_sid), "control": kept.type}
        shown |= {"dacl": list(_aces(kept.dacl)), "sacl": list(_aces(kept.sacl))}
    return shown


def _aces(entries: Any) -> Iterator[Ace]:
    for ace in entries.aces if entries is not None else ():
        yield ace.type, ace.flags, ace.access_mask, str(ace.trustee)


def _has(path: Path) -> bool:
    return NTACL in os.listxattr(path)


def _get(path: Path) -> Any:
    return _of(os.getxattr(path, NTACL))


def _of(attribute: bytes) -> Any:
    kept = ndr_unpack(xattr.NTACL, attribute)
    # Version 1 is the descriptor alone, as we write it; smbd's own versions put it beside a hash.
    return kept.info if kept.version == 1 else kept.info.sd


def _put(path: Path, descriptor: Any) -> None:
    kept = xattr.NTACL()
    kept.version, kept.info = 1, descriptor
    os.setxattr(path, NTACL, ndr_pack(kept))


def _inherited(above: Any, *, container: bool) -> Any:
    made = security.descriptor()
    made.owner_sid, made.group_sid = above.owner_sid, above.group_sid
    bits = security.SEC_DESC_SELF_RELATIVE | security.SEC_DESC_DACL_PRESENT
    made.type = bits | (above.type & security.SEC_DESC_DACL_AUTO_INHERITED)
    for kind, flags, mask, trustee in _aces(above.dacl):
        for ace in _handed_down(kind, flags, mask, trustee, above, container=container):
            made.dacl_add(_entry(*ace))
    return made


def _handed_down(kind: int, flags: int, mask: int, trustee: str, above: Any, *, container: bool) -> Iterator[Ace]:
    """The entries that one of the folder's becomes: none, itself, or for a creator a second one that is in effect."""
    effective = flags & (CONTAINER if container else OBJECT)
    further = flags & (OBJECT | CONTAINER) if container and not flags & NO_PROPAGATE else 0
    if effective and trustee in CREATORS:
        yield kind, INHERITED, mask, str(getattr(above, CREATORS[trustee]))
        if further:
            yield kind, further | INHERIT_ONLY | INHERITED, mask, trustee
    elif effective:
        yield kind, further | INHERITED, mask, trustee
    elif further:
        yield kind, further | INHERIT_ONLY | INHERITED, mask, trustee


def _entry(kind: int, flags: int, mask: int, trustee: str) -> Any:
    made = security.ace()
    made.type, made.flags, made.access_mask, made.trustee = kind, flags, mask, security.dom_sid(trustee)
    return made
