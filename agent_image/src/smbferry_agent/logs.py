"""Logs: one JSON object per line on stderr. Only selected fields are logged, never a whole object."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

_FIELDS: Final = "smbferry_fields"
_process: Final[dict[str, Any]] = {}


class JsonLines(logging.Formatter):
    """Formats time, level, logger, message, the fields of `fields(...)`, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_process,
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        # Names from a server may contain lone surrogates: valid in ASCII JSON, not in UTF-8.
        return json.dumps(line, default=str)


def fields(**values: Any) -> dict[str, Any]:
    """Named values beside the message, for `extra=`."""
    return {_FIELDS: values}


def about(**values: Any) -> None:
    """Named values in every further line of this process."""
    _process.update(values)


def set_up(level: int = logging.INFO) -> None:
    """Sends all logs to stderr. Libraries log from WARNING on only: their debug lines may contain tokens."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    for ours in ("smbferry_agent", "smbferry_engine"):
        logging.getLogger(ours).setLevel(level)
