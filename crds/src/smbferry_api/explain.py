"""Describes what is wrong with a spec or status in plain words: the field, what was expected and what was found."""

import difflib
import json
from collections.abc import Iterable
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_LONGEST_VALUE: Final = 80

# pydantic's error types (docs.pydantic.dev/latest/errors/validation_errors) with their context as placeholders.
_EXPECTED: Final = {
    "string_type": "a string",
    "string_too_short": "at least {min_length} character(s)",
    "string_too_long": "at most {max_length} character(s)",
    "string_pattern_mismatch": "a string that matches {pattern}",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "datetime_type": "an RFC 3339 time",
    "datetime_parsing": "an RFC 3339 time",
    "datetime_from_date_parsing": "an RFC 3339 time",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} item(s)",
    "too_long": "at most {max_length} item(s)",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def explain(error: ValidationError, root: str, model: type[BaseModel] | None = None) -> str:
    """Describes every invalid field of an object.

    Args:
        root: path of the object, such as ``spec``.
        model: class that was validated; with it, an unknown field gets the name of a similar field.
    """
    return "; ".join(_problem(found, root, model) for found in error.errors(include_url=False))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns the end of a message, `; did you mean "X"?`, or an empty string if nothing known is similar."""
    similar = difflib.get_close_matches(word, list(known), n=1)
    return f'; did you mean "{similar[0]}"?' if similar else ""


def _problem(found: ErrorDetails, root: str, model: type[BaseModel] | None) -> str:
    *parents, last = found["loc"] or ("",)
    if found["type"] == "extra_forbidden":
        known = _field_names(model, parents) if model else ()
        return f'{_path(root, parents)}: unknown field "{last}"{did_you_mean(str(last), known)}'
    return f"{_path(root, found['loc'])}: {_wrong(found)}"


def _wrong(found: ErrorDetails) -> str:
    """What was expected and, if the value is short, what was found."""
    context = found.get("ctx", {})
    if found["type"] == "missing":
        return "required field is missing"
    if found["type"] == "value_error":
        return str(context["error"])
    if found["type"] == "enum":
        return f"expected {str(context['expected']).replace(chr(39), chr(34))}{_got(found['input'])}"
    if found["type"] in _EXPECTED:
        return f"expected {_EXPECTED[found['type']].format_map(context)}{_got(found['input'])}"
    return found["msg"]


def _got(value: Any) -> str:
    if not isinstance(value, str | int | float | None):
        return ""
    # Other characters could change the direction of the text or move the cursor of a terminal.
    text = json.dumps(value, ensure_ascii=not str(value).isprintable())
    return f", got {text}" if len(text) <= _LONGEST_VALUE else ""


def _path(root: str, parts: Iterable[int | str]) -> str:
    return ".".join((root, *(str(part) for part in parts)))


def _field_names(model: type[BaseModel], parents: Iterable[int | str]) -> tuple[str, ...]:
    """Names of the fields, as manifests spell them, of the object at the path; empty if it is not one of ours."""
    current: type[BaseModel] | None = model
    for part in parents:
        if current is None or isinstance(part, int):
            continue  # an index: the list's items have the same class
        current = next((_model_in(f.annotation) for n, f in current.model_fields.items() if part in {n, f.alias}), None)
    return tuple(f.alias or n for n, f in current.model_fields.items()) if current else ()


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model class in an annotation such as ``Schedule | None`` or ``tuple[Phase, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
