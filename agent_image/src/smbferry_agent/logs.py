"""Logs: a JSON object per line on stderr. What is logged is chosen field by field; no object is ever dumped whole."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

_FIELDS: Final = "smbferry_fields"


class JsonLines(logging.Formatter):
    """time, level, logger, message, the fields of `fields(...)`, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        # Names from a server may hold lone surrogates, which ASCII JSON can write and UTF-8 can't.
        return json.dumps(line, default=str)


def fields(**values: Any) -> dict[str, Any]:
    """For `extra=`: named values beside the message."""
    return {_FIELDS: values}


def set_up(level: int = logging.INFO) -> None:
    """Sends all logs to stderr. Libraries speak only from WARNING on: their debug lines may hold tokens."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    for ours in ("smbferry_agent", "smbferry_engine"):
        logging.getLogger(ours).setLevel(level)
