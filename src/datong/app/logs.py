"""The program's own log (not the transparency log): lines of text or JSON, to standard error or a file that rotates."""

import json
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler

from datong.kernel import Settings
from datong.kernel.tracing import TRACE

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
MIB = 1024**2
_OWNER_ONLY = 0o600


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


def start_logging(settings: Settings) -> logging.Handler:
    """Write the log of this process as its settings say; return what writes it."""
    handler: logging.Handler
    if settings.log_file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        settings.log_file.parent.mkdir(parents=True, exist_ok=True)
        settings.log_file.touch(mode=_OWNER_ONLY)
        handler = RotatingFileHandler(
            settings.log_file,
            maxBytes=settings.log_file_mb_max * MIB,
            backupCount=settings.log_files_kept,
            encoding="utf-8",
        )
    handler.setFormatter(JsonLines() if settings.log_format == "json" else logging.Formatter(TEXT_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    return handler
