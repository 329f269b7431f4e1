"""Lines of a program's own log as JSON, the same of hubs and nodes."""

import json
import logging
from datetime import UTC, datetime

from datong.kernel.tracing import TRACE


class JsonLines(logging.Formatter):
    """An object a line: `at` (UTC), `level`, `logger`, `message`, `process`, `thread`; `trace` and `error` if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        said: dict[str, str | int] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process or 0,
            "thread": record.threadName or "",
        }
        trace = TRACE.get()
        if trace:
            said["trace"] = trace
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)
