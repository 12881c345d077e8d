"""Generates the reference page of the command line: `python -m smbferry_cli.reference DIRECTORY`.

The page is made from the parser, so every command, argument and example is on it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from smbferry_api.generated import write
from smbferry_api.names import GROUP
from smbferry_cli.arguments import PROGRAM, parser
from smbferry_cli.verbs.arguments import IN_CLUSTER
from smbferry_cli.verbs.permissions import PERMISSIONS, Permission

NAME: Final = "cli.md"
_HIDDEN: Final = frozenset({"help"})
_INTRO: Final = """\
`smbferry` runs on Linux with Python 3.11 or newer. The commands *in a cluster* use your kubeconfig and are also a
kubectl plugin: `kubectl smbferry get tasks` ([how to operate transfers](../how-to/operate.md)). The others need
[no cluster](../how-to/without-a-cluster.md). Results are written to standard output, all else to standard error; output
to a pipe is neither wrapped nor colored.
"""
_HELP: Final = """\
`smbferry help COMMAND` shows the same as this page. All commands have the same
[exit codes](../how-to/without-a-cluster.md#exit-codes).
"""
_PERMISSIONS: Final = """\
A command asks for nothing else than this. Kubernetes' ClusterRoles `view` and `edit` include it with what the chart
adds to them. `list` is only used for lists, `--all`, `--task`, completion, and to suggest a similar name.
"""


def page() -> str:
    """Returns the Markdown page."""
    commands = dict(_commands())
    return "\n".join(
        [
            "# Command line",
            "",
            "<!-- Generated from the parser by `make generate`; do not edit. -->",
            "",
            _INTRO,
            "| command | in a cluster | what it does |",
            "|---|---|---|",
            *(
                f"| [`{name}`](#{_anchor(name)}) | {_mark(name)} | {summary} |"
                for name, (summary, _) in commands.items()
            ),
            "",
            _HELP,
            *(line for name, (_, command) in commands.items() for line in _section(name, command)),
            "## Permissions",
            "",
            _PERMISSIONS,
            "| command | needs | ClusterRole |",
            "|---|---|---|",
            *(_needs(name) for name in commands if name in PERMISSIONS),
            "",
        ]
    )


def _commands() -> Iterator[tuple[str, tuple[str, argparse.ArgumentParser]]]:
    actions = parser("")._actions  # noqa: SLF001 (argparse has no other way to tell what it takes)
    (commands,) = (a for a in actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001 (see above)
    for choice in commands._get_subactions():  # noqa: SLF001 (see above)
        if choice.dest not in _HIDDEN:
            yield choice.dest, (choice.help or "", commands.choices[choice.dest])


def _anchor(name: str) -> str:
    return f"{PROGRAM}-{name}"


def _mark(name: str) -> str:
    return "yes" if name in IN_CLUSTER else ""


def _section(name: str, command: argparse.ArgumentParser) -> Iterator[str]:
    actions = [a for a in command._actions if a.dest != "help"]  # noqa: SLF001 (see above)
    shown = sorted(actions, key=lambda a: bool(a.option_strings))
    yield from (f"## {PROGRAM} {name}", "", *(command.description or "").splitlines(), "")
    yield from ("| argument | meaning |", "|---|---|")
    yield from (f"| {_argument(a)} | {_cell(a.help or '')} |" for a in shown)
    examples = [line.strip() for line in (command.epilog or "").splitlines()[1:]]
    if examples:
        yield from ("", "```sh", *examples, "```")
    yield ""


def _argument(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    value = ",".join(map(str, action.choices)) if action.choices is not None else metavar
    if not action.option_strings:
        several = {"*": f"[{value} ...]", "+": f"{value} ...", "?": f"[{value}]"}
        return f"`{_cell(several.get(str(action.nargs), value))}`"
    shown = " ".join((", ".join(action.option_strings), *(() if action.nargs == 0 else (value,))))
    return f"`{_cell(shown)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _needs(name: str) -> str:
    role = "edit" if any(p.role == "edit" for p in PERMISSIONS[name]) else "view"
    return f"| `{name}` | {', '.join(_grouped(PERMISSIONS[name]))} | `{role}` |"


def _grouped(permissions: tuple[Permission, ...]) -> Iterator[str]:
    """Yields the verbs of each resource."""
    for resource, group in dict.fromkeys((p.resource, p.group) for p in permissions):
        verbs = " ".join(p.verb for p in permissions if (p.resource, p.group) == (resource, group))
        yield f"{verbs} `{resource}{f'.{group}' if group and group != GROUP else ''}`"


def main() -> int:
    """Writes the page. With --check, names it and returns 1 if it differs."""
    top = argparse.ArgumentParser(description="Generate the reference page of the command line.")
    top.add_argument("directory", type=Path)
    top.add_argument("--check", action="store_true", help="write nothing; fail if the page differs")
    options = top.parse_args()
    return write({options.directory / NAME: page()}, check=options.check)


if __name__ == "__main__":
    raise SystemExit(main())
