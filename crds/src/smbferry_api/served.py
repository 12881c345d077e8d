"""Reads what the API server returns: leniently, where what people write is judged strictly.

A CustomResourceDefinition may be newer than the program that reads: its defaults then stand in every object, those of
runs under way among them. A field that is not known is no reason to call an object wrong.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


def read_spec(model: type[Model], value: Any) -> Model:
    """A spec, or any part of one, without the fields that this version does not know.

    Raises:
        ValidationError: a field that it knows can't be used.
    """
    return model.model_validate(value, extra="ignore")


def read_status(model: type[Model], value: Any) -> tuple[Model, str]:
    """A status, and in words which of its fields can't be read; these are as if they were not there.

    A newer writer may use a word that this version does not have: what else the status says still counts.
    """
    fields = dict(value) if isinstance(value, dict) else {}
    try:
        return model.model_validate(fields, extra="ignore"), ""
    except ValidationError as error:
        unreadable = {str(found["loc"][0]) for found in error.errors(include_input=False) if found["loc"]}
        problem = explain(error, "status")
    kept = {name: field for name, field in fields.items() if name not in unreadable}
    try:
        return model.model_validate(kept, extra="ignore"), problem
    except ValidationError:
        return model(), problem


def explain(error: ValidationError, root: str) -> str:
    """Each field that is wrong, by its path below `root`, and why; nothing of what it holds."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join((root, *(str(part) for part in e['loc'])))}: {e['msg']}" for e in found)
