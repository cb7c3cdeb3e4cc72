"""How templates write numbers, times, states and icons. Templates themselves compute nothing."""

import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from django import template
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from ui import formatting, tones
from ui.formatting import MINUS, UNKNOWN, Number
from ui.jumps import JUMPS, Jump

register = template.Library()

ICONS = Path(__file__).resolve().parent.parent / "icons"


def _lenient(spell: Callable[[Number], str]) -> Callable[[Any], str]:
    """Text that is no number is shown as it came: a new word must not break a list. A float is our mistake."""

    def filtered(value: Any) -> str:
        try:
            return spell(value)
        except ValueError:
            return str(value)

    return filtered


for _name in ("money", "price", "qty", "percent", "dollars", "fraction", "ratio", "multiple"):
    register.filter(_name, _lenient(getattr(formatting, _name)))


@register.filter
def signed_money(value: Number) -> str | SafeString:
    """Profit or loss: sign, shape and colour, so that none of them is needed alone."""
    text = formatting.signed(value)
    if text.startswith("+"):
        return format_html('<span class="gain"><span aria-hidden="true">▲</span> {}</span>', text)
    if text.startswith(MINUS):
        return format_html('<span class="loss"><span aria-hidden="true">▼</span> {}</span>', text)
    return text


@register.filter
def ny_time(value: datetime | None, style: str = "") -> str | SafeString:
    """A time in New York, with UTC on hover. Styles: "" to the second, "minute", "date", "full"."""
    if value is None:
        return UNKNOWN
    text = formatting.in_new_york(value, today=timezone.now().astimezone(formatting.NEW_YORK).date(), style=style)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', formatting.iso_utc(value), formatting.in_utc(value), text
    )


@register.filter
def age(value: datetime | None) -> str | SafeString:
    """How long ago, kept current by live.js. The text itself is the time, so that equal fragments stay equal."""
    if value is None:
        return "never"
    today = timezone.now().astimezone(formatting.NEW_YORK).date()
    return format_html(
        '<time data-age datetime="{}" title="{}">{}</time>',
        formatting.iso_utc(value),
        formatting.in_utc(value),
        formatting.in_new_york(value, today=today),
    )


@register.filter
def until(value: datetime | None) -> str | SafeString:
    """How long from now, kept current by live.js."""
    if value is None:
        return UNKNOWN
    today = timezone.now().astimezone(formatting.NEW_YORK).date()
    return format_html(
        '<time data-until datetime="{}" title="{}">{}</time>',
        formatting.iso_utc(value),
        formatting.in_utc(value),
        formatting.in_new_york(value, today=today, style="minute"),
    )


@register.filter
def span(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else formatting.span(seconds)


@register.filter
def bytes_of(count: int | None) -> str:
    return formatting.bytes_of(count)


@register.filter
def or_dash(value: object) -> object:
    """Nothing known is a dash; zero is a value."""
    return UNKNOWN if value is None or value == "" else value


@register.filter
def words(value: object) -> str:
    """partially_filled → partially filled"""
    return str(value).replace("_", " ") if value else UNKNOWN


@register.filter
def pretty_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=_json_text)


def _json_text(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


@register.simple_tag
def new_york_day() -> date:
    """The day by which times are written: those of another day come with their date."""
    return timezone.now().astimezone(formatting.NEW_YORK).date()


@register.filter
def loaded_values(row: Model) -> list[object]:
    """Every column of the row that was read: what is made from the row alone is the same for the same values."""
    return [row.__dict__.get(field.attname) for field in row._meta.concrete_fields]


@register.filter
def get(mapping: Any, key: object) -> Any:
    return mapping.get(key) if mapping else None


@lru_cache(maxsize=128)
def _svg(name: str) -> str:
    return (ICONS / f"{name}.svg").read_text(encoding="utf-8").strip()


@register.simple_tag
def icon(name: str) -> SafeString:
    """Put ui/icons/NAME.svg into the page. It is decoration: the words beside it carry the meaning."""
    return mark_safe(_svg(name))  # noqa: S308  # a file of this repository


@register.simple_tag
def badge(word: str, label: str = "", tone: str = "") -> SafeString:
    """A state as word, tone and icon. `label` replaces the word for people, `tone` overrides the usual one."""
    if not word:
        return format_html("{}", UNKNOWN)
    tone = tone or tones.tone_of(word)
    return format_html(
        '<span class="badge badge-{}">{}{}</span>', tone, icon(tones.icon_of(tone)), label or word.replace("_", " ")
    )


@register.simple_tag(takes_context=True)
def jumps(context: template.Context) -> list[tuple[Jump, str]]:
    """The pages that a key leads to, with their addresses: those that this person may open."""
    is_staff = getattr(context.get("user"), "is_staff", False)
    return [(jump, reverse(jump.to)) for jump in JUMPS if is_staff or not jump.needs_staff]


@register.simple_tag(takes_context=True)
def nav_link(context: template.Context, label: str, to: str, icon_name: str) -> SafeString:
    """One entry of the main menu; it knows whether it leads to where the reader is."""
    href, path = reverse(to), context["request"].path
    is_here = path == href or (href != "/" and path.startswith(href))
    current = format_html(' aria-current="{}"', "page" if path == href else "true") if is_here else ""
    return format_html('<a class="nav-link" href="{}"{}>{}<span>{}</span></a>', href, current, icon(icon_name), label)
