"""The program's log on stderr: structured, and without values that could be secrets."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

TEXT = "text"
JSON = "json"
FORMATS = (TEXT, JSON)


def configure_log(level: int, form: str = TEXT, process: str | None = None) -> None:
    """Write the program's log to stderr; tracebacks without values, which could be secrets.

    Args:
        level: of the standard library; what is below it costs nothing.
        form: one of FORMATS: lines for people, or one JSON object a line.
        process: which one of several processes this is; stands in every line.
    """
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if process is not None:
        processors.append(_Naming(process))
    structlog.configure(
        processors=[*processors, *_renderers(form)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=True,  # not a new one for each request
    )
    # What asyncio and aiohttp have to say goes the same way, in the same form.
    root = logging.getLogger()
    root.setLevel(max(level, logging.WARNING))
    if not any(isinstance(handler, _Forwarding) for handler in root.handlers):
        root.addHandler(_Forwarding())


def _renderers(form: str) -> list[Processor]:
    if form == JSON:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]


class _Stderr:
    """Standard error, but nothing fails because nobody reads it or its disk is full."""

    def write(self, text: str) -> None:
        """See io.TextIOBase."""
        with contextlib.suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        """See io.TextIOBase."""
        with contextlib.suppress(OSError):
            sys.stderr.flush()


class _Naming:
    """Adds which process says it."""

    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """See structlog.typing.Processor."""
        del logger, method
        event["process"] = self._process
        return event


class _Forwarding(logging.Handler):
    """Hands records of the standard library's logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        try:
            logger = structlog.get_logger()
            exc_info = {"exc_info": record.exc_info} if record.exc_info else {}
            logger.log(record.levelno, record.getMessage(), logger=record.name, **exc_info)
        except Exception:  # noqa: BLE001 - as every handler: nothing fails for its log
            self.handleError(record)
