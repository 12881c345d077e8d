"""Shell completion: a small script for each shell calls the program to get the candidates.

The candidates come from the parser, so no option can be missing. If there are none, shells offer files.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Final

COMPLETE: Final = "__complete"
"""Hidden command that the scripts call."""
KUBECTL_OFFERS_FILES: Final = ":0"
"""Directive for kubectl after the candidates (cobra's ShellCompDirectiveDefault): offer files if there are no
candidates."""

_BASH: Final = """\
_smbferry() {
    local IFS=$'\\n'
    COMPREPLY=($(smbferry __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _smbferry smbferry
"""
_ZSH: Final = """\
#compdef smbferry
_smbferry() {
    local -a found
    found=(${(f)"$(smbferry __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( $#found )); then compadd -- $found; else _files; fi
}
compdef _smbferry smbferry
"""
_FISH: Final = """\
function __smbferry
    set -l typed (commandline -opc)
    smbferry __complete $typed[2..] (commandline -ct | string collect --allow-empty) 2>/dev/null
end
complete -c smbferry -a '(__smbferry)'
"""
SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def candidates(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """Returns the candidates for the last word."""
    *typed, begun = words or [""]
    place = _Place(parser)
    for word in typed:
        place.step(word)
    return [word for word in place.offers(options=begun.startswith("-")) if word.startswith(begun)]


class _Place:
    """The position in a command line."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._enter(parser)

    def _enter(self, parser: argparse.ArgumentParser) -> None:
        actions = parser._actions  # noqa: SLF001 (argparse has no other way to tell what it takes)
        self._options = {name: action for action in actions for name in action.option_strings}
        self._positionals = [action for action in actions if not action.option_strings]
        self._value_of: argparse.Action | None = None

    def step(self, word: str) -> None:
        """Advances past a completed word."""
        if self._value_of:
            self._value_of = None
        elif word.startswith("-"):
            name, equals, _ = word.partition("=")
            action = self._options.get(name)
            self._value_of = action if action and action.nargs != 0 and not equals else None
        elif self._positionals:
            action = self._positionals[0]
            if isinstance(action, argparse._SubParsersAction) and word in action.choices:  # noqa: SLF001 (see above)
                self._enter(action.choices[word])
            elif action.nargs != "+":
                self._positionals.pop(0)

    def offers(self, *, options: bool) -> Iterator[str]:
        """What may come now."""
        if self._value_of or not options:
            action = self._value_of or next(iter(self._positionals), None)
            yield from map(str, (action.choices if action else None) or ())
        else:
            yield from self._options
