"""Texts and keys that a field refuses by a pattern, in pydantic and at the API server for the same reason."""

import json
import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Annotates a `str`, or a `dict` whose keys are meant. CEL and pydantic apply the same check."""

    pattern: str
    """Of what is refused, in the common part of RE2 and Python's `re`."""
    message: str
    except_: tuple[str, ...] = ()
    """Accepted all the same."""
    negated: bool = False
    """Whether to refuse what does not match."""

    def check(self, value: Any) -> Any:
        """Returns the value unchanged.

        Raises:
            ValueError: it, or one of its keys, is refused.
        """
        for text in value if isinstance(value, dict) else (value,):
            if text not in self.except_ and bool(re.search(self.pattern, text)) is not self.negated:
                raise ValueError(f"{self.message}; got {text!r}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = dict(handler(core))
        text = "key" if schema.get("type") == "object" else "self"
        rule = self._rule(text)
        if text == "key":
            rule = f"self.all(key, {rule})"
        rules = [*schema.get("x-kubernetes-validations", ()), {"rule": rule, "message": self.message}]
        return schema | {"x-kubernetes-validations": rules}

    def _rule(self, text: str) -> str:
        # JSON's escapes are CEL's, too.
        matches = f"{text}.matches({json.dumps(self.pattern)})"
        rule = matches if self.negated else f"!{matches}"
        return f"{text} in {json.dumps(list(self.except_))} || {rule}" if self.except_ else rule
