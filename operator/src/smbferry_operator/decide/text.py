"""Formatting that several decisions share."""

from datetime import timedelta

from smbferry_api.reasons import Reason

MINUTE = 60
HOUR = 3600


def format_duration(length: timedelta) -> str:
    """A duration in whole seconds as Kubernetes writes it: 45s, 3m20s, 1h0m5s."""
    seconds = max(0, int(length.total_seconds()))
    hours, seconds_left = divmod(seconds, HOUR)
    minutes, seconds_left = divmod(seconds_left, MINUTE)
    if hours:
        return f"{hours}h{minutes}m{seconds_left}s"
    return f"{minutes}m{seconds_left}s" if minutes else f"{seconds_left}s"


def sentence(text: str) -> str:
    """The text with a full stop, unless it already ends a sentence."""
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


def with_remedy(message: str, reason: Reason) -> str:
    """The message, followed by the remedy of its reason."""
    message = sentence(message or reason.when)
    return message if not reason.remedy or message.endswith(reason.remedy) else f"{message} {reason.remedy}"
