"""Runs inside a container of the domain: one JSON line asks, one JSON line answers.

What tests do to accounts again and again is done by the functions that samba-tool itself calls, on a database that is
open already; anything else of samba-tool in a fork of this process, which has imported it once. Trees are made and
listed by `files.py`, descriptors read and written by `descriptors.py`: their texts are the arguments. As programs of
their own they would spend most of their time on starting. Ends when its standard input does.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import types
from typing import IO, TYPE_CHECKING, Any

import samba.dckeytab  # type: ignore[import-not-found]  # only the container has it; gives Net its export_keytab
import samba.netcmd.ntacl  # type: ignore[import-not-found]
import samba.netcmd.spn  # type: ignore[import-not-found]
import samba.netcmd.user  # type: ignore[import-not-found]  # noqa: F401 - what is imported here is there in every fork
from samba.auth import system_session  # type: ignore[import-not-found]
from samba.net import Net  # type: ignore[import-not-found]
from samba.netcmd.main import cmd_sambatool  # type: ignore[import-not-found]
from samba.param import LoadParm  # type: ignore[import-not-found]
from samba.samdb import SamDB  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Callable


def samba_tool(arguments: list[str], environment: dict[str, str], output: IO[bytes], errors: IO[bytes]) -> int:
    """samba-tool with these arguments, as /usr/bin/samba-tool calls it; its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code: Any = 1
    try:
        os.dup2(output.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        os.environ.update(environment)
        command = cmd_sambatool()
        try:
            code = command._run("samba-tool", arguments[0], *arguments[1:])  # the entry point that it has
        except SystemExit as error:
            code = error.code
        except Exception as error:  # noqa: BLE001 - as samba-tool itself does
            command.show_command_error(error)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code if isinstance(code, int) else int(code is not None))


def run(command: list[str], environment: dict[str, str]) -> dict[str, object]:
    """A command's exit code, standard output and standard error."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        if command[0] == "samba-tool":
            code = samba_tool(command[1:], environment, output, errors)
        else:
            whole = {**os.environ, **environment}
            try:
                code = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=whole, check=False
                ).returncode
            except OSError as error:
                code = 127
                errors.write(str(error).encode())
        said = []
        for file in (output, errors):
            file.seek(0)
            said.append(base64.b64encode(file.read()).decode())
    return {"code": code, "output": said[0], "errors": said[1]}


class Accounts:
    """The domain's accounts, changed as samba-tool's `user`, `group` and `domain exportkeytab` change them."""

    @functools.cached_property
    def _settings(self) -> Any:
        settings = LoadParm()
        settings.load_default()
        return settings

    @functools.cached_property
    def _database(self) -> Any:
        return SamDB(session_info=system_session(), lp=self._settings)

    def add(self, name: str, password: str, groups: list[str]) -> None:
        """Adds a user and puts it into groups."""
        self._database.newuser(name, password)
        for group in groups:
            self._database.add_remove_group_members(group, [name], add_members_operation=True)

    def delete(self, name: str) -> None:
        """Deletes an account."""
        self._database.delete(self._entry(name, "dn").dn)

    def set_password(self, name: str, password: str) -> None:
        """Sets a password, which raises the kvno."""
        self._database.setpassword(f"(sAMAccountName={name})", password, username=name)

    def kvno(self, name: str) -> int:
        """The key version number that the account has now."""
        return int(str(self._entry(name, "msDS-KeyVersionNumber")["msDS-KeyVersionNumber"]))

    def keys(self, principal: str) -> str:
        """A keytab with all keys of a principal, base64."""
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/keytab"
            Net(None, self._settings).export_keytab(keytab=path, principal=principal)
            with open(path, "rb") as file:  # noqa: PTH123 - nothing else here needs pathlib
                return base64.b64encode(file.read()).decode()

    def _entry(self, name: str, attribute: str) -> Any:
        base = self._database.domain_dn()
        found = self._database.search(base=base, expression=f"(sAMAccountName={name})", attrs=[attribute])
        if len(found) != 1:
            raise LookupError(f"no account {name} in the domain")
        return found[0]


def write(path: str, content: str) -> None:
    """Writes base64 content into a file; everyone may change it."""
    with open(path, "wb") as file:  # noqa: PTH123 - nothing else here needs pathlib
        os.fchmod(file.fileno(), 0o666)
        file.write(base64.b64decode(content))


def module(name: str, source: str) -> Any:
    """A module of this source, which came with this script and is trusted like it."""
    made = types.ModuleType(name)
    exec(compile(source, name, "exec"), made.__dict__)
    return made


def answer(asked: dict[str, Any], calls: dict[str, Callable[..., object]]) -> dict[str, object]:
    """What one question gives: of a command how it ended, of a call what it returned or why it could not."""
    if "command" in asked:
        return run(asked["command"], asked["environment"])
    try:
        return {"returned": calls[asked["call"]](*asked["arguments"])}
    except Exception as error:  # noqa: BLE001 - Samba's bindings raise what they like; it is told, not hidden
        return {"refused": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Answers until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    accounts, files = Accounts(), module("files", sys.argv[1])
    lists = module("descriptors", sys.argv[2])
    of_accounts = (accounts.add, accounts.delete, accounts.set_password, accounts.kvno, accounts.keys)
    of_files = (write, files.seed, files.listing)
    of_lists = (lists.describe, lists.settle, lists.look, lists.let_in)
    calls = {call.__name__: call for call in (*of_accounts, *of_files, *of_lists)}
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), calls)), flush=True)


if __name__ == "__main__":
    main()
