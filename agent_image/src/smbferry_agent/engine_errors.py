"""The engine's errors as the agent's: the engine knows nothing of the API, so its words are looked up by name."""

from smbferry_agent.errors import AgentError
from smbferry_api.reasons import INTERNAL_ERROR, by_name
from smbferry_engine import EngineError


def convert(error: EngineError) -> AgentError:
    """The same reason with the API's remedy; a word that the API does not know is a bug and says so."""
    reason = by_name(error.reason)
    if reason is None or reason.failure is None:
        return AgentError(INTERNAL_ERROR, f"The engine failed with {error.reason}: {error.message}.")
    return AgentError(reason, _sentence(error.message))


def _sentence(text: str) -> str:
    """The engine's words as a sentence, so that a remedy can follow; names at its beginning stay as they are."""
    text = text.strip()
    if text.partition(" ")[0].isalpha():
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
