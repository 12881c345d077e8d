"""Parses objects from the API server leniently; manifests written by people are parsed strictly.

The CustomResourceDefinitions may be newer than this program. All objects, including those of active runs, then contain
defaults of newer fields. An unknown field does not make an object invalid.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from smbferry_api.explain import explain

Model = TypeVar("Model", bound=BaseModel)


def read_spec(model: type[Model], value: Any) -> Model:
    """Parses a spec or a part of one and ignores unknown fields.

    Raises:
        ValidationError: a known field is invalid.
    """
    return model.model_validate(value, extra="ignore")


def read_status(model: type[Model], value: Any) -> tuple[Model, str]:
    """Parses a status. Returns it without its unreadable fields, and a message that lists them.

    A newer version may write values that are unknown here; the other fields remain usable.
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
