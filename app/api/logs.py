"""Logs: one JSON object a line, ours and those of the libraries below us."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from app.settings import Settings

QUIET = {
    "httpx": logging.WARNING,  # it logs every URL at info, and URLs may carry names
    "python_multipart": logging.CRITICAL,  # it quotes the bodies that it can't read
    "websockets": logging.INFO,  # at debug it quotes frames, and they carry tokens
    "realtime": logging.CRITICAL,  # it quotes frames, and tells each attempt; app.supabase.live tells outages
}


class Lines(logging.StreamHandler[Any]):
    """Standard output, for what libraries log with the standard library."""


def configure_logs(settings: Settings) -> None:
    """JSON lines on standard output (or coloured ones for people), from the given level on."""
    level = getattr(logging, settings.log_level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer()
    )
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*common, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    lines = Lines(sys.stdout)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, Lines)] + [lines]
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(least)
