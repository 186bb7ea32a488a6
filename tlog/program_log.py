"""The program's log on stderr: structured, and without values that could be secrets."""

from __future__ import annotations

import sys

import structlog


def configure_log(level: int) -> None:
    """Write the program's log to stderr; tracebacks without values, which could be secrets."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,  # not a new one for each request
    )
