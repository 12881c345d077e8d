"""Converts the engine's errors to the agent's."""

from smbferry_agent.errors import AgentError
from smbferry_api.reasons import INTERNAL_ERROR, by_name
from smbferry_engine import EngineError


def convert(error: EngineError) -> AgentError:
    """The error of the same reason, with its remedy; an unregistered reason is a bug and is reported as one."""
    reason = by_name(error.reason)
    if reason is None or reason.failure is None:
        return AgentError(INTERNAL_ERROR, f"The engine failed with {error.reason}: {error.message}.")
    return AgentError(reason, _sentence(error.message))


def _sentence(text: str) -> str:
    """The text as a sentence that a remedy can follow. A name at its beginning keeps its case."""
    text = text.strip()
    if text.partition(" ")[0].isalpha():
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
