"""The addresses that messages go to. They hold passwords and tokens: they come from the environment or a file, live
in memory only, and are never shown. Pure, but for the reading of the file."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_ENTRY = re.compile(r"(?:^|\s)([A-Za-z0-9_-]+)=(?=[A-Za-z][A-Za-z0-9+.-]*://)")
#: What is shorter is found in any text.
_LEAST = 3


class BadAddresses(ValueError):
    """The text cannot be used. Says which entry, and never repeats it."""


class Addresses(Mapping[str, str]):
    """Channel name → address. Written out, it shows the names."""

    def __init__(self, entries: Mapping[str, str] | None = None) -> None:
        self._entries = dict(entries or {})

    def __getitem__(self, name: str) -> str:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Addresses({', '.join(sorted(self._entries))})"

    def redact(self, text: str) -> str:
        """Leave out everything that an address holds, whoever wrote it into the text."""
        for secret in sorted({part for address in self.values() for part in secrets_of(address)}, key=len)[::-1]:
            text = text.replace(secret, "…")
        return text


def parse(text: str) -> Addresses:
    """Read `name=address` entries, separated by spaces or lines; what follows # at the start of a line is left out."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = " ".join(lines).strip()
    matches = list(_ENTRY.finditer(joined))
    if joined and (not matches or matches[0].start() != 0):
        raise BadAddresses("entry 1 is not of the form name=address")
    found: dict[str, str] = {}
    for number, match in enumerate(matches, start=1):
        end = matches[number].start() if number < len(matches) else len(joined)
        name, address = match[1], joined[match.end() : end].strip()
        if not _NAME.fullmatch(name):
            raise BadAddresses(f"the name of entry {number} is not of small letters, digits, - and _")
        if name in found:
            raise BadAddresses(f"the name {name} stands there twice")
        if re.search(r"\s", address):
            raise BadAddresses(f"the address of {name} has a space in it, or what follows it has no name")
        found[name] = address
    return Addresses(found)


def read(text: str, path: str) -> Addresses:
    """Return what the variable says, and what the file says."""
    if not path:
        return parse(text)
    try:
        kept = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadAddresses(f"the file cannot be read ({type(error).__name__})") from None
    both = {**parse(kept)}
    for name, address in parse(text).items():
        if name in both:
            raise BadAddresses(f"the name {name} stands in the variable and in the file")
        both[name] = address
    return Addresses(both)


def secrets_of(address: str) -> set[str]:
    """Return what must not be shown: the address, and each of its parts but for the word in front of ://."""
    rest = address.partition("://")[2]
    parts = {address, rest, *re.split(r"[/?&=@:#,]", rest)}
    try:
        split = urlsplit(address)
        parts |= {split.netloc, split.path, split.query}
    except ValueError:
        pass
    parts |= {unquote(part) for part in parts}
    return {part for part in parts if len(part) >= _LEAST}
