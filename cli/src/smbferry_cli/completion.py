"""Shell completion: a small script for each shell calls the program to get the candidates.

The candidates come from the parser, so no option can be missing, and from the cluster for names of objects there.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

COMPLETE: Final = "__complete"
"""Hidden command that the scripts call."""
FILES: Final = ":0"
NO_FILES: Final = ":4"
"""The last line, as cobra's programs give it to kubectl (ShellCompDirective): whether shells may offer files if there
are no candidates."""

_BASH: Final = """\
_smbferry() {
    local IFS=$'\\n' found last
    found=($(smbferry __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    last=$((${#found[@]} - 1))
    COMPREPLY=()
    (( last < 0 )) && return
    [[ "${found[last]}" == ":4" ]] && compopt +o default 2>/dev/null
    COMPREPLY=("${found[@]:0:last}")
}
complete -o default -F _smbferry smbferry
"""
_ZSH: Final = """\
#compdef smbferry
_smbferry() {
    local -a found
    local files
    found=(${(f)"$(smbferry __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    files=$found[-1]
    found=(${found[1,-2]})
    if (( $#found )); then compadd -- $found; elif [[ $files != ":4" ]]; then _files; fi
}
compdef _smbferry smbferry
"""
_FISH: Final = """\
function __smbferry
    set -l -- typed (commandline -opc)
    set -l -- begun (commandline -ct)
    set -l -- found (smbferry __complete $typed[2..] "$begun" 2>/dev/null)
    if test (count $found) -gt 1
        printf '%s\\n' $found[1..-2]
    else if test "$found" != ":4"
        __fish_complete_path "$begun"
    end
end
complete -c smbferry -f -a '(__smbferry)'
"""
SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


Names = Callable[[str, Mapping[str, str], str], list[str]]
"""Candidates from the cluster: called with the argument's metavar, what was typed before, and the word's beginning."""


def candidates(parser: argparse.ArgumentParser, words: Sequence[str], names: Names, named: Iterable[str]) -> list[str]:
    """Returns the candidates for the last word, and whether there may be files instead.

    Args:
        named: metavars of arguments whose candidates `names` knows.
    """
    *typed, begun = words or [""]
    place = _Place(parser)
    for word in typed:
        place.step(word)
    if begun.startswith("-") and not place.awaits_value:
        return [*(option for option in place.options if option.startswith(begun)), FILES]
    action = place.next
    if action is None:
        return [FILES]
    if action.choices is not None:
        return [*(word for word in map(str, action.choices) if word.startswith(begun)), FILES]
    if isinstance(action.metavar, str) and action.metavar in named:
        found = names(action.metavar, place.values, begun)
        return [*sorted(word for word in set(found) - {*typed} if word.startswith(begun)), NO_FILES]
    return [FILES]


class _Place:
    """The position in a command line."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.values: dict[str, str] = {}
        """What was typed, by the destination of its option or argument."""
        self._enter(parser)

    def _enter(self, parser: argparse.ArgumentParser) -> None:
        actions = parser._actions  # noqa: SLF001 (argparse has no other way to tell what it takes)
        self.options = {name: action for action in actions for name in action.option_strings}
        self._positionals = [action for action in actions if not action.option_strings]
        self._value_of: argparse.Action | None = None

    @property
    def awaits_value(self) -> bool:
        """Whether the next word is the value of an option."""
        return self._value_of is not None

    @property
    def next(self) -> argparse.Action | None:
        """The argument or option whose value comes next."""
        return self._value_of or next(iter(self._positionals), None)

    def step(self, word: str) -> None:
        """Advances past a completed word."""
        if self._value_of:
            self.values[self._value_of.dest] = word
            self._value_of = None
        elif word.startswith("-"):
            self._option(word)
        elif self._positionals:
            action = self._positionals[0]
            self.values[action.dest] = word
            if isinstance(action, argparse._SubParsersAction) and word in action.choices:  # noqa: SLF001 (see above)
                self._enter(action.choices[word])
            elif action.nargs not in {"+", "*"}:
                self._positionals.pop(0)

    def _option(self, word: str) -> None:
        name, equals, value = word.partition("=")
        action = self.options.get(name)
        if action is not None and action.nargs != 0:
            if equals:
                self.values[action.dest] = value
            else:
                self._value_of = action
