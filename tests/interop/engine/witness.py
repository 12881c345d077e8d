"""What smbclient, getfattr, stat and samba-tool say of files: witnesses that share no code with the engine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.interop.engine.tickets import Watcher

from smbferry_engine import Options, Result, SecurityDescriptors, transfer

if TYPE_CHECKING:
    from lab.support.domain.machine import Directory
    from tests.interop.engine.support import Bench

    from smbferry_engine import Endpoint


@dataclass(frozen=True)
class Shown:
    """What smbclient's allinfo says; times as it writes them, attributes as letters."""

    created: str
    accessed: str
    written: str
    attributes: str


def allinfo(directory: Directory, *paths: str) -> list[Shown]:
    """What smbclient says of files and folders, asked as the domain's administrator."""
    commands = [f'allinfo "{directory.name}/{path}"' for path in paths]
    text = directory.domain.smbclient("Administrator", directory.share, *commands).text
    found = {
        word: re.findall(rf"^{word}: *(.*?) *$", text, flags=re.MULTILINE)
        for word in ("create_time", "access_time", "write_time", "attributes")
    }
    rows = list(zip(*found.values(), strict=True))
    assert len(rows) == len(paths), text
    return [Shown(created, accessed, written, letters.split(" ")[0]) for created, accessed, written, letters in rows]


def set_times(
    directory: Directory, *paths: str, created: str = "-1", accessed: str = "-1", written: str = "-1"
) -> None:
    """Times as 2019:01:02-03:04:05, set by smbclient."""
    commands = (f'utimes "{directory.name}/{path}" {created} {accessed} {written} -1' for path in paths)
    directory.domain.smbclient("Administrator", directory.share, *commands)


def set_mode(directory: Directory, path: str, change: str) -> None:
    """Attributes such as +rh-a, set by smbclient."""
    directory.domain.smbclient("Administrator", directory.share, f'setmode "{directory.name}/{path}" {change}')


def stat_times(directory: Directory, path: str) -> tuple[str, str]:
    """Times of the last access and of the last write as the server's file system has them, to the nanosecond."""
    accessed, written = (
        directory.domain.run("stat", "-c", "%x|%y", f"{directory.inside}/{path}").text.strip().split("|")
    )
    return accessed, written


def dos_attributes(directory: Directory, path: str) -> int | None:
    """The attributes in the extended attribute where Samba keeps them (user.DOSATTRIB); None if there is none."""
    shown = directory.domain.run(
        "getfattr", "--absolute-names", "--only-values", "-n", "user.DOSATTRIB", f"{directory.inside}/{path}",
        check=False,
    )  # fmt: skip
    if shown.code:
        return None
    # xattr_DOSATTRIB of Samba's xattr.idl, version 5: text, version twice, which fields are valid, attributes.
    text_end = shown.output.index(b"\0") + 1
    at = text_end + text_end % 2
    version = int.from_bytes(shown.output[at : at + 2], "little")
    assert version == 5, shown.output.hex()
    at += 4 + (-(at + 4)) % 4
    return int.from_bytes(shown.output[at + 4 : at + 8], "little")


def ntacl(directory: Directory, path: str) -> str:
    """The security descriptor in the extended attribute where Samba keeps it (security.NTACL), as SDDL."""
    return directory.domain.samba_tool("ntacl", "get", "--as-sddl", f"{directory.inside}/{path}".rstrip("/")).strip()


def set_ntacl(directory: Directory, path: str, sddl: str) -> None:
    """Put a security descriptor there."""
    directory.domain.samba_tool("ntacl", "set", sddl, f"{directory.inside}/{path}")


def copy(bench: Bench, *, ends: tuple[Endpoint, Endpoint] | None = None, **options: Any) -> Result:
    """A run of the bench that nobody looks at: a look reads every file, which moves its time of access."""
    bench.watcher = Watcher()
    chosen = Options(**{"security_descriptors": SecurityDescriptors.NONE, **options})
    return transfer(*(ends or bench.ends()), chosen, bench.watcher)
