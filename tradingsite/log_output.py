"""What goes to stderr: each line with its correlation id, none with a secret, as text or as JSON (LOG_FORMAT).

The handler writes a copy of each record from which secrets are left out, in its message, its arguments, its traceback
and whatever else it carries, and looks at the finished line once more.
"""

import copy
import logging
import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Any

from django.conf import settings
from pythonjsonlogger.json import JsonFormatter

from tradingsite.redaction import redact, redact_known
from work import correlation

_PLAIN = logging.Formatter()
_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {"taskName"}


class CarefulHandler(logging.StreamHandler[Any]):
    """Writes to stderr, as it is at that moment."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def handle(self, record: logging.LogRecord) -> bool:
        return bool(super().handle(_without_secrets(record)))

    def format(self, record: logging.LogRecord) -> str:
        return redact_known(super().format(record))


def _without_secrets(record: logging.LogRecord) -> logging.LogRecord:
    """Other handlers get the record as it was: this one is a copy."""
    careful = copy.copy(record)
    careful.msg, careful.args = redact(_message(record)), None
    if record.exc_info or record.exc_text:
        text = record.exc_text or (_PLAIN.formatException(record.exc_info) if record.exc_info else "")
        careful.exc_text, careful.exc_info = redact(text), None
    if record.stack_info:
        careful.stack_info = redact(str(record.stack_info))
    for name in vars(record).keys() - _STANDARD:
        value = getattr(record, name)
        if isinstance(value, str):
            setattr(careful, name, redact(value))
        elif not isinstance(value, int | float | None):
            delattr(careful, name)  # a request, say, which shows its whole address when it is written out
    careful.correlation_id = correlation.current() or "-"
    return careful


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # logging itself would print the arguments
        return f"{record.msg!s} (its arguments do not fit it: {type(error).__name__})"


class JsonLines(JsonFormatter):
    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s %(correlation_id)s %(process)d %(threadName)s",
            rename_fields={
                "asctime": "time",
                "levelname": "level",
                "name": "logger",
                "threadName": "thread",
                "exc_info": "traceback",
            },
            rename_fields_keep_missing=False,
        )
        self.default_time_format, self.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"
        self.converter = time.gmtime


def handler() -> logging.Handler:
    """One more of the kind that LOGGING sets up, for a program that has handlers of its own."""
    made = CarefulHandler()
    made.setFormatter(JsonLines() if settings.LOG_FORMAT == "json" else text_lines())
    return made


def text_lines() -> logging.Formatter:
    return logging.Formatter("{asctime} {levelname} {name} [{correlation_id}] {message}", style="{")


def guard_tracebacks() -> None:
    """What nobody caught ends on stderr, too, by way of Python itself: without secrets."""
    sys.excepthook = _tell_uncaught
    threading.excepthook = _tell_uncaught_in_thread


def _tell_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def _tell_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit or args.exc_value is None:
        return
    name = args.thread.name if args.thread else "unknown"
    sys.stderr.write(f"Exception in thread {name}:\n")
    _tell_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
