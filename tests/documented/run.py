"""Runs a documented command as a reader would: in a shell, in a folder with the files that the docs speak of."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.documented.commands import ROOT
from tests.documented.places import ENDS_WITH, FOLLOWED, RUN_AS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.documented.commands import Command


def form_of(command: Command) -> str:
    """The form in which it is run."""
    return RUN_AS.get(command.text, command.text)


def with_names(text: str, names: Mapping[str, str]) -> str:
    """The docs' names and placeholders as those that are there: whole words, all at once, longer ones first."""
    if not names:
        return text
    either = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf"(?<![\w-])(?:{either})(?![\w-])", lambda found: names[found[0]], text)


@dataclass(frozen=True)
class Reader:
    """Somebody at a shell: a folder, an environment, the names that are there, and what is typed when asked."""

    folder: Path
    environment: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)
    typed: str = ""

    def types(self, command: Command, *, timeout: float = 60) -> str:
        """Runs it and returns what it said, both streams.

        Raises:
            AssertionError: it did not end as it should.
        """
        text = with_names(form_of(command), self.names)
        if command.text in FOLLOWED:
            return self._follows(text)
        said = subprocess.run(
            ["bash", "-o", "pipefail", "-c", text],
            cwd=self.folder,
            env={**self.environment},
            input=self.typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        expected = ENDS_WITH.get(command.text, 0)
        assert said.returncode == expected, f"{command.page}: {text}\nended with {said.returncode}:\n{said.stdout}"
        return said.stdout

    def _follows(self, text: str) -> str:
        """A title and one line of what goes on without end."""
        process = subprocess.Popen(
            shlex.split(text), cwd=self.folder, env={**self.environment}, stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout is not None
            lines = [process.stdout.readline(), process.stdout.readline()]
            process.terminate()
        assert all(lines), f"{text}: says nothing"
        return "".join(lines)


def put_datasync(folder: Path, *, source: str, destination: str, principal: str) -> None:
    """What `aws datasync describe-...` prints of a task between two SERVER/SHARE/PATHs, in the docs' files."""
    for name, place in (("source", source), ("destination", destination)):
        location = {"LocationArn": name, "LocationUri": f"smb://{place}/", "AuthenticationType": "KERBEROS"}
        (folder / f"{name}.json").write_text(json.dumps({**location, "KerberosPrincipal": principal}), encoding="utf-8")
    task = {"TaskArn": "task", "SourceLocationArn": "source", "DestinationLocationArn": "destination"}
    (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")


def with_smbferry(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which `smbferry` and `kubectl smbferry` are programs of this source."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    calls = dict.fromkeys(("smbferry", "kubectl-smbferry"), "main") | {
        "kubectl_complete-smbferry": "complete_for_kubectl"
    }
    for name, function in calls.items():
        program = programs / name
        script = f"#!{sys.executable}\nimport sys\nfrom smbferry_cli.main import {function}\nsys.exit({function}())\n"
        program.write_text(script, encoding="utf-8")
        program.chmod(0o755)
    source = os.pathsep.join(str(ROOT / part / "src") for part in ("crds", "operator", "agent_image", "cli"))
    return {**environment, "PATH": f"{programs}:{environment['PATH']}", "PYTHONPATH": source}
