"""Read a batch file: CSV with a header row, or JSON, from bytes to checked lines. Pure.

Line numbers are those that a person counts: the lines of a CSV file with its header as line 1, the objects of
a JSON list from 1.
"""

import csv
import difflib
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from orders.batch_line import FIELDS, REQUIRED_FIELDS, Line, LineError, read_line, shown, spelled

Row = tuple[int, dict[str, str]]


@dataclass(frozen=True, slots=True)
class BatchFile:
    """What a file holds. With any error it must not be used, whatever lines could be read."""

    source: str
    lines: tuple[Line, ...]
    errors: tuple[LineError, ...]


class _Unreadable(Exception):
    """Nothing after this can be read."""

    def __init__(self, *errors: LineError) -> None:
        super().__init__()
        self.errors = errors


def _unreadable(line: int | None, message: str) -> _Unreadable:
    return _Unreadable(LineError(line, "", message))


def read_batch_file(data: bytes, filename: str, *, max_bytes: int, max_lines: int) -> BatchFile:
    """Return every line, and every error with its place, expectation and finding."""
    source = "csv"
    lines: list[Line] = []
    errors: list[LineError] = []
    try:
        text = _text(data, max_bytes=max_bytes)
        source = _source(filename, text)
        rows = _json_rows(text, errors) if source == "json" else _csv_rows(text, errors)
        for number, cells in _at_most(max_lines, rows):
            line = read_line(number, cells)
            if isinstance(line, Line):
                lines.append(line)
            else:
                errors += line
        if not lines and not errors:
            raise _unreadable(None, "expected at least one order, found none")
    except _Unreadable as unreadable:
        errors += unreadable.errors
    return BatchFile(source, tuple(lines), (*errors, *_repetitions(lines)))


def content_digest(lines: Iterable[Line]) -> str:
    """Return the SHA-256 of the orders, whatever their sequence in the file and its format were."""
    terms = sorted("\x1f".join(_digested(line)) for line in lines)
    return hashlib.sha256("\x1e".join(terms).encode()).hexdigest()


def _digested(line: Line) -> tuple[str, ...]:
    """Digest nothing that it has not: neither exits nor the option, as before there were any in a file."""
    terms = line.terms()[: FIELDS.index("cancel_exits_first" if line.order_class else "order_class")]
    return (*terms, "cancel_exits_first") if line.cancel_exits_first else terms


def as_csv(lines: Iterable[Line]) -> str:
    """Return the file that holds these lines."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(line.terms() for line in lines)
    return out.getvalue()


def _text(data: bytes, *, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise _unreadable(None, f"expected a file of at most {max_bytes} bytes, found a longer one")
    if not data.strip():
        raise _unreadable(None, "expected orders in CSV or JSON, found an empty file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unreadable(line, f"expected UTF-8 text, found the byte 0x{data[error.start]:02x}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _unreadable(line, "expected UTF-8 text, found binary data")
    return text


def _source(filename: str, text: str) -> str:
    for ending in ("json", "csv"):
        if filename.lower().endswith(f".{ending}"):
            return ending
    return "json" if text.lstrip()[:1] in {"[", "{"} else "csv"


def _at_most(limit: int, rows: Iterable[Row]) -> Iterator[Row]:
    for count, row in enumerate(rows, start=1):
        if count > limit:
            raise _unreadable(row[0], f"expected at most {limit} orders in a file, found more")
        yield row


def _repetitions(lines: Iterable[Line]) -> Iterator[LineError]:
    seen: dict[tuple[str, ...], int] = {}
    for line in lines:
        first = seen.setdefault(line.terms(), line.number)
        if first != line.number:
            yield LineError(line.number, "", f"expected each order once, found the same as on line {first}")


def _unknown_name(line: int, name: str) -> LineError:
    close = difflib.get_close_matches(name.lower(), FIELDS, n=1, cutoff=0.6)
    if name.lower() == "type":
        close = ["order_type"]
    hint = f" (did you mean {close[0]}?)" if close else ""
    return LineError(line, name[:40], f"expected one of {', '.join(FIELDS)}, found {shown(name)}{hint}")


def _missing_names(line: int, names: Iterable[str]) -> Iterator[LineError]:
    present = set(names)
    for name in REQUIRED_FIELDS:
        if name not in present:
            yield LineError(line, name, f"expected {name} to be given, found it missing")
    if not present & {"qty", "notional"}:
        yield LineError(line, "qty", "expected qty or notional to be given, found neither")


# --- CSV ---------------------------------------------------------------------------------------------------


def _csv_rows(text: str, errors: list[LineError]) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _unreadable(number, f"expected a row of comma-separated cells, found {error}") from error
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = _header(number, cells)
        elif len(cells) != len(header):
            message = f"expected {len(header)} cells as in the header, found {len(cells)}"
            errors.append(LineError(number, "", message))
        else:
            yield number, dict(zip(header, cells, strict=True))


def _header(number: int, cells: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    for sign, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and sign in names[0]:
            raise _unreadable(number, f"expected columns separated by commas, found {word}")
    wrong = [_unknown_name(number, name) for name in names if name not in FIELDS]
    wrong += [
        LineError(number, name, "expected the column once, found it twice") for name in FIELDS if names.count(name) > 1
    ]
    wrong += _missing_names(number, names)
    if wrong:
        raise _Unreadable(*wrong)
    return names


# --- JSON --------------------------------------------------------------------------------------------------


def _json_rows(text: str, errors: list[LineError]) -> Iterator[Row]:
    for number, item in enumerate(_json_list(text), start=1):
        if not isinstance(item, _Pairs):
            errors.append(LineError(number, "", f"expected an object with the fields of an order, found {_kind(item)}"))
            continue
        found = list(_item_errors(number, item))
        errors += found
        if not found:
            yield number, {name.lower(): _cell(value) for name, value in item}


class _Pairs(list[tuple[str, Any]]):
    """An object's members as they stand in the file: a name that is given twice is not lost."""


def _json_list(text: str) -> list[Any]:
    try:
        # Numbers stay the text that was written, so no digit is lost; NaN and Infinity are refused later, as text.
        document = json.loads(text, object_pairs_hook=_Pairs, parse_float=str, parse_int=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise _unreadable(
            error.lineno, f"expected JSON, found a mistake in column {error.colno}: {error.msg}"
        ) from error
    except RecursionError as error:
        raise _unreadable(None, "expected a list of orders, found lists within lists without end") from error
    if isinstance(document, _Pairs):
        names = [name for name, _ in document]
        if names != ["orders"]:
            raise _unreadable(
                None, f'expected a list or {{"orders": [...]}}, found an object with {shown(", ".join(names))}'
            )
        document = document[0][1]
    if isinstance(document, _Pairs) or not isinstance(document, list):
        raise _unreadable(None, f"expected a list of orders, found {_kind(document)}")
    return document


def _item_errors(number: int, item: _Pairs) -> Iterator[LineError]:
    names = [name.lower() for name, _ in item]
    yield from (_unknown_name(number, name) for name in names if name not in FIELDS)
    for name in FIELDS:
        if names.count(name) > 1:
            yield LineError(number, name, "expected the field once, found it twice")
    yield from _missing_names(number, names)
    for name, value in item:
        if isinstance(value, list):
            yield LineError(number, name, f"expected one value, found {_kind(value)}")


def _cell(value: object) -> str:
    return value if isinstance(value, str) else spelled(value)


def _kind(value: object) -> str:
    if isinstance(value, _Pairs):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else shown(_cell(value))
