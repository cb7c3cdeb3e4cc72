"""Exact numbers as text and back. Pure: the core uses it without touching the database."""

from decimal import Decimal, InvalidOperation


def exact(text: object) -> Decimal:
    """Return the number that `text` spells; refuse floats, which have already lost digits."""
    if isinstance(text, float):
        raise TypeError(f"A float is not exact: {text!r}. Give the string.")
    try:
        number = Decimal(str(text))
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is not a number.") from error
    if not number.is_finite():
        raise ValueError(f"{text!r} is not a finite number.")
    return number


def exact_or_none(text: object) -> Decimal | None:
    return None if text is None or text == "" else exact(text)


def plain(number: Decimal | None) -> str | None:
    """Return the shortest plain spelling, the one form in which two equal numbers are equal strings."""
    if number is None:
        return None
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text
