"""Every address of the program, by walking the URL resolver: what nobody thought of is in it too."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver

_PLACE = re.compile(r"<(?:\w+:)?(\w+)>")
_REGEX_PLACE = re.compile(r"\(\?P<(\w+)>[^()]*\)")


@dataclass(frozen=True, slots=True)
class Address:
    name: str
    route: str

    @property
    def places(self) -> list[str]:
        return [*_PLACE.findall(_REGEX_PLACE.sub("", self.route)), *_REGEX_PLACE.findall(self.route)]

    def path(self, values: Mapping[str, object]) -> str:
        filled = _REGEX_PLACE.sub(lambda found: str(values[found[1]]), self.route)
        return "/" + _PLACE.sub(lambda found: str(values[found[1]]), filled).replace("^", "").removesuffix("$")


def every_address() -> list[Address]:
    return list(_walk(get_resolver().url_patterns, "", ""))


def _walk(patterns: list[URLPattern | URLResolver], namespace: str, route: str) -> Iterator[Address]:
    for pattern in patterns:
        here = route + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _walk(pattern.url_patterns, inner, here)
        else:
            yield Address(namespace + (pattern.name or f"unnamed {here}"), here)
