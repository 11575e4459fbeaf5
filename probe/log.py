"""Log lines as Prometheus and its exporters write them: logfmt, or JSON."""

import json
import logging
import sys
import time
from typing import TextIO

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")


class _Fields(logging.Formatter):
    """A record as fields: time, level, message, and whatever was passed as `extra={"fields":}`."""

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, object] = {
            "ts": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return fields


class Logfmt(_Fields):
    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={_word(value)}" for key, value in self.fields(record).items())


class Json(_Fields):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.fields(record), default=str)


def _word(value: object) -> str:
    """A value of logfmt: quoted where it is not one plain word."""
    text = str(value)
    plain = text.isprintable() and not any(sign in text for sign in ' ="\\')
    return text if text and plain else json.dumps(text)


def configure(level: str, form: str, stream: TextIO = sys.stderr) -> None:
    """Send the log of the whole process to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Json() if form == "json" else Logfmt())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)  # else two lines for each run
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its start is ours to report
