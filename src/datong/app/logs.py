"""The program's own log (not the transparency log): lines of text or JSON, to standard error or a file that rotates."""

import logging
import sys
from logging.handlers import RotatingFileHandler

from datong.kernel import Settings
from datong.kernel.log_lines import JsonLines

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
MIB = 1024**2
_OWNER_ONLY = 0o600


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
