"""Strange texts, files and forms: what a person, a broken program or an attacker may send."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlsplit

from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import strategies as st

#: Each has broken some program. The last digits are digits to `str.isdigit`, but not to `int`.
NASTY = (
    "", " ", "0", "-1", "1e400", "-1e-400", "NaN", "-Infinity", "9" * 40, "1_000", "0x10", "1,5", ".", "-", "+", "true",
    "9223372036854775808", "' OR 1=1 --", '"; DROP TABLE x', "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "%00",
    "%", "%s%n{0}{{7*7}}", "../../etc/passwd", "//evil.test", "javascript:alert(1)", "\r\nX-Strange: yes", "\0", "a\0b",
    "0001-01-01", "9999-12-31", "2025-13-45", "2025-02-30", "2025-11-07T25:61", "9999-12-31T23:59", "0001-01-01T00:00",
    "2025-03-09T02:30", "2025-11-02T01:30", "24:00", "１２", "²", "٣", "\u202etxt.exe", "\ufeff", "é" * 300, "a" * 5000,
    "💸" * 80, "1:", ":1", "1:x,2:y", "[]", '{"a":', "null", "-symbol", "symbol,symbol", "?a=b&c", "#", "ß", "İ",
)  # fmt: skip

#: Those that readers of numbers, days and lists stumble over.
DECISIVE = (
    "", "-1", "1e400", "-1e-400", "NaN", "-Infinity", "9" * 40, "9223372036854775808", "²", "٣", "\0", "%", "a" * 5000,
    "0001-01-01", "9999-12-31", "2025-13-45", "9999-12-31T23:59", "0001-01-01T00:00", "2025-03-09T02:30", "1:x,2:y",
    "symbol,symbol", "csv",
)  # fmt: skip

texts = st.one_of(
    st.sampled_from(NASTY),
    st.sampled_from(NASTY),
    st.integers().map(str),
    st.decimals(allow_nan=True).map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
)
#: Parameters that lists and pages of ours know; each page's own are read off the page.
COMMON_NAMES = (
    "page", "sort", "q", "format", "columns", "account", "since", "until", "on", "status", "symbol", "side", "days",
    "kind", "severity", "state", "actor", "action", "subject_type", "subject_id", "at", "range", "next", "_popup", "o",
    "p", "all", "_changelist_filters", "e", "_to_field",
)  # fmt: skip

_GOOD_LINE = b"QCOM,buy,1,market"
_HEADS = (b"symbol,side,qty,order_type\n", b"symbol,side,qty,order_type,limit_price,stop_price,time_in_force\n", b"")
files = st.one_of(
    st.binary(max_size=300),
    texts.map(lambda text: text.encode()),
    st.builds(
        lambda head, rows: head + b"\n".join(",".join(row).encode() for row in rows),
        st.sampled_from(_HEADS),
        st.lists(st.lists(texts, max_size=8), max_size=6),
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=12,
    ).map(lambda document: json.dumps(document).encode()),
    st.sampled_from(
        [b"[" * 100_000, b'{"orders": [' + b"{}," * 5000 + b"]}", b"\xff\xfeA", b"\xef\xbb\xbf" + _GOOD_LINE,
         _HEADS[0] + b'"QCOM' + b"x" * 200_000, _HEADS[0] + (_GOOD_LINE + b"\n") * 3000, b"1" * 5000, b"\0" * 1000]
    ),
)  # fmt: skip
names_of_files = st.sampled_from(
    ["a.csv", "a.json", "a", "../../a.csv", "a.csv.exe", "é\u202e.json", "x" * 250 + ".csv"]
)
uploads = st.builds(
    lambda name, data, kind: SimpleUploadedFile(name, data, kind),
    names_of_files,
    files,
    st.sampled_from(["text/csv", "application/json", "text/html", "", "image/png"]),
)


@dataclass
class SeenForm:
    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)

    @property
    def kind(self) -> tuple[str, ...]:
        """The same on every page that has this form."""
        return (self.action, *sorted(self.fields))


class FormReader(HTMLParser):
    """The forms of a page with the values that they come with, and the parameters of its links to itself."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.forms: list[SeenForm] = []
        self.parameters: set[str] = set()
        self._by_id: dict[str, SeenForm] = {}
        self._open: SeenForm | None = None
        self._select: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        for address in (said.get("href", ""), said.get("hx-get", "")):
            parts = urlsplit(address)
            if parts.query and parts.path in {"", self.path}:
                self.parameters |= {name for name, _value in parse_qsl(parts.query, keep_blank_values=True)}
        if tag == "form":
            self._open = SeenForm(said.get("action") or self.path, said.get("method", "get").lower())
            self.forms.append(self._open)
            if said.get("id"):
                self._by_id[said["id"]] = self._open
        elif tag in {"input", "select", "textarea", "button"} and said.get("name"):
            self._field(tag, said)
        elif tag == "option" and self._select:
            self._select.append(said.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "select":
            self._select = []

    def _field(self, tag: str, said: dict[str, str]) -> None:
        form = self._by_id.get(said.get("form", "")) or self._open
        if form is None:
            return
        if said.get("type") == "file":
            form.files.add(said["name"])
        values = form.fields.setdefault(said["name"], [])
        values.append(said.get("value", ""))
        self._select = values if tag == "select" else self._select

    def parameters_of_forms(self) -> set[str]:
        asked = [form for form in self.forms if form.method == "get"]
        return {name for form in asked for name in form.fields}


def read_forms(path: str, page: str) -> FormReader:
    reader = FormReader(path)
    reader.feed(page)
    return reader


def sent_forms(seen: SeenForm) -> st.SearchStrategy[dict[str, object]]:
    """What a browser would send, with some fields changed, left out or doubled, and some that the form has not."""
    own = {
        name: (uploads | texts)
        if name in seen.files
        else st.one_of(st.sampled_from(values or [""]), texts, st.lists(texts, max_size=3))
        for name, values in seen.fields.items()
        if name != "csrfmiddlewaretoken"
    }
    others = st.sampled_from(("confirmed", "_confirmed", "scope", "reason", "x", "fix_page"))
    more = st.dictionaries(others, texts, max_size=2)
    return st.tuples(st.fixed_dictionaries({}, optional=own), more).map(lambda parts: {**parts[1], **parts[0]})


def queries(names: set[str]) -> st.SearchStrategy[dict[str, list[str]]]:
    known = st.sampled_from(sorted(names | set(COMMON_NAMES)))
    return st.dictionaries(known | texts, st.lists(texts, min_size=1, max_size=2), max_size=4)
