"""Every command that README, docs and examples show a reader, as the reader would type it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SHELL_LANGUAGES = {"sh", "bash", "console", "powershell"}
OTHER_LANGUAGES = {"yaml", "ini", "json", "mermaid"}
# Decisions and generated pages show no commands to a reader.
NOT_FOR_READERS = {"adr", "reference"}

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)\s*$")
_PROMPT = re.compile(r"^(?P<prompt>\$|>|C:\\>|kadmin:|ktutil:) (?P<text>.*)$")
_HERE_DOCUMENT = re.compile(r"<<'?(\w+)'?$")
_COMMENT = re.compile(r"\s+# .*$")
_OPEN = ("\\", "|", "&&")
_INLINE = re.compile(r"`([^`]+)`")
_CMDLET = re.compile(r"[A-Z][a-z]+-[A-Z]\w+")
_IN_MANIFEST = re.compile(r"^#\s+((?:kubectl|smbferry|helm) .*)$", re.MULTILINE)


class Prompt(StrEnum):
    """What a command is typed into."""

    SHELL = "$"
    POWERSHELL = ">"
    CMD = "C:\\>"
    KADMIN = "kadmin:"
    KTUTIL = "ktutil:"


@dataclass(frozen=True, order=True)
class Command:
    """One command; its text is without prompt and comment, continued lines as they stand."""

    text: str
    prompt: Prompt
    page: str

    @property
    def program(self) -> str:
        """The program that it starts with, variables that are set for it aside."""
        words = self.text.split()
        return next((word for word in words if not re.match(r"^\w+=", word)), words[0])


class DocsError(Exception):
    """A page can't be read as docs are written here."""


def pages() -> list[Path]:
    """All pages for readers."""
    docs = [page for page in (ROOT / "docs").rglob("*.md") if not NOT_FOR_READERS & set(page.parts)]
    return sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *docs, *(ROOT / "examples").rglob("*.md")])


@cache
def every(inline_programs: frozenset[str] = frozenset()) -> tuple[Command, ...]:
    """All commands: in blocks, in manifests' comments, and in running text those of the programs named."""
    found = set[Command]()
    for page in pages():
        name, text = str(page.relative_to(ROOT)), page.read_text(encoding="utf-8")
        found.update(in_blocks(name, text))
        found.update(in_text(name, text, inline_programs))
    for manifest in sorted((ROOT / "examples").rglob("*.yaml")):
        name = str(manifest.relative_to(ROOT))
        said = _IN_MANIFEST.findall(manifest.read_text(encoding="utf-8"))
        found.update(Command(text, Prompt.SHELL, name) for text in said)
    return tuple(sorted(found))


def in_blocks(page: str, text: str) -> Iterator[Command]:
    """The commands of a page's code blocks, in their order.

    Raises:
        DocsError: a block has a language that docs do not use, or shell code is not what it should be.
    """
    for language, lines in blocks(page, text):
        if language == "powershell":
            yield from (Command(_bare(line), Prompt.POWERSHELL, page) for line in lines if line)
        elif language == "console":
            yield from _session(page, lines)
        elif language in SHELL_LANGUAGES:
            yield from _session(page, [f"$ {line}" for line in lines if line])


def blocks(page: str, text: str) -> Iterator[tuple[str, list[str]]]:
    """Language and lines of each fenced block.

    Raises:
        DocsError: one has no language, or one that docs do not use, or is not closed.
    """
    inside: tuple[str, str, list[str]] | None = None
    for line in text.splitlines():
        fence = _FENCE.match(line)
        if inside is None:
            if fence:
                inside = (fence["indent"], fence["language"], [])
        elif fence and not fence["language"]:
            if inside[1] not in SHELL_LANGUAGES | OTHER_LANGUAGES:
                raise DocsError(f"{page}: a block of the language {inside[1]!r}")
            yield inside[1], inside[2]
            inside = None
        else:
            inside[2].append(line.removeprefix(inside[0]))
    if inside is not None:
        raise DocsError(f"{page}: a block is not closed")


def in_text(page: str, text: str, programs: frozenset[str]) -> Iterator[Command]:
    """Commands in running text: code that begins with one of the programs, or a cmdlet, and goes on."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    for code in _INLINE.findall(prose):
        words = code.split()
        if not words:
            continue
        if _CMDLET.fullmatch(words[0]):
            yield Command(" ".join(words), Prompt.POWERSHELL, page)
        elif words[0] in programs and len(words) > 1:
            yield Command(" ".join(words), Prompt.SHELL, page)


def _session(page: str, lines: list[str]) -> Iterator[Command]:
    rest = iter(lines)
    for line in rest:
        prompt = _PROMPT.match(line)
        if not prompt:
            continue
        whole = [prompt["text"]]
        if prompt["prompt"] == Prompt.SHELL:
            whole += _continued(page, whole[0], rest)
        # A comment ends a line; what is continued has none.
        text = _bare(whole[0]) if len(whole) == 1 else "\n".join(whole)
        yield Command(text, Prompt(prompt["prompt"]), page)


def _continued(page: str, first: str, rest: Iterator[str]) -> Iterator[str]:
    here = _HERE_DOCUMENT.search(first)
    last = first
    while here or last.endswith(_OPEN):
        try:
            last = next(rest)
        except StopIteration:
            raise DocsError(f"{page}: a command is not ended: {first}") from None
        yield last
        if here and last == here[1]:
            return


def _bare(line: str) -> str:
    return _COMMENT.sub("", line).strip()
