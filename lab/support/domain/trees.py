"""Trees as the tests want them and find them: entries to make, entries found, and what differs between two trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["file", "directory", "link"]


@dataclass(frozen=True)
class Wanted:
    """An entry to make. A file has `size` bytes that depend on its path and version only, or exactly `text`."""

    path: str
    kind: Kind = "file"
    size: int = 0
    version: int = 0
    text: str | None = None


@dataclass(frozen=True)
class Entry:
    """An entry found: size in bytes, SHA-256 of a file's content, time of its last write in ns since 1970."""

    kind: Kind
    size: int
    sha256: str | None
    mtime_ns: int


Tree = dict[str, Entry]


def odd() -> list[Wanted]:
    """Names and sizes that break careless programs."""
    return [
        Wanted("with space/a file  with  spaces.txt", size=100),
        Wanted("Umläute/größe Straße.txt", size=1),
        Wanted("Umläute/decomposed-u\u0308.txt", size=2),
        Wanted("emoji 🚢/⛴️ ferry 👩‍🚀.bin", size=4096),
        Wanted("日本語/ファイル.txt", size=17),
        Wanted("Кириллица/שלום/مرحبا.txt", size=33),
        Wanted("empty/empty file", size=0),
        Wanted("empty/empty folder", kind="directory"),
        Wanted(".hidden/.dotfile", size=3),
        Wanted("signs/#%&{}$!'@+`=;,~[]()^.txt", size=5),
        Wanted("signs/no extension", size=6),
        Wanted("signs/ leading space", size=7),
        Wanted("signs/UPPER.TXT", size=8),
        Wanted("long/" + "n" * 200 + ".txt", size=9),
        Wanted("/".join(f"deep{level}" for level in range(20)) + "/bottom.txt", size=10),
        Wanted("sizes/one less than a page", size=4095),
        Wanted("sizes/one more than 64 KiB", size=65537),
        Wanted("sizes/one more than a MiB", size=(1 << 20) + 1),
    ]


def small(count: int, *, size: int = 4096, per_folder: int = 200, prefix: str = "many") -> list[Wanted]:
    """Many files of one size, nested in folders of `per_folder`."""
    return [
        Wanted(f"{prefix}/group {n // per_folder // 10}/folder {n // per_folder}/file {n}.dat", size=size)
        for n in range(count)
    ]


def differences(source: Mapping[str, Entry], destination: Mapping[str, Entry], *, times: bool = False) -> list[str]:
    """What differs between two trees, looked at from both sides; nothing where they are the same.

    `times` compares files' times of last write too, to SMB's 100 ns.
    """
    found = [f"only in the source: {path!r}" for path in sorted(source.keys() - destination.keys())]
    found += [f"only in the destination: {path!r}" for path in sorted(destination.keys() - source.keys())]
    for path in sorted(source.keys() & destination.keys()):
        one, other = source[path], destination[path]
        if (one.kind, one.size, one.sha256) != (other.kind, other.size, other.sha256):
            found.append(f"not the same: {path!r} is {_said(one)} in the source and {_said(other)} in the destination")
        elif times and one.kind == "file" and one.mtime_ns // 100 != other.mtime_ns // 100:
            found.append(f"written at another time: {path!r}: {one.mtime_ns} and {other.mtime_ns} ns")
    return found


def _said(entry: Entry) -> str:
    return f"a {entry.kind} of {entry.size} bytes" + (f" ({entry.sha256[:12]}…)" if entry.sha256 else "")
