"""How templates write numbers, times, states and icons; and the three kinds of empty."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import RequestFactory

from orders.lifecycle import KNOWN_STATUSES, SubmissionState
from ui import tones
from ui.templatetags.ui import ICONS

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"


def render(source, **context):
    return Template("{% load ui %}" + source).render(Context(context))


def test_profit_has_sign_shape_and_class_so_that_colour_is_not_needed():
    gain = render("{{ x|signed_money }}", x=Decimal("1204.5"))
    loss = render("{{ x|signed_money }}", x=Decimal(-310))
    assert '<span class="gain">' in gain
    assert "▲" in gain
    assert "+1,204.50" in gain
    assert '<span class="loss">' in loss
    assert "▼" in loss
    assert "−310.00" in loss
    assert render("{{ x|signed_money }}", x=Decimal(0)) == "0.00"
    assert render("{{ x|signed_money }}", x=None) == "–"


@pytest.mark.parametrize("name", ["money", "price", "qty", "percent", "dollars"])
def test_number_filters_show_nothing_as_a_dash_and_new_words_as_they_came(name):
    assert render(f"{{{{ x|{name} }}}}", x=None) == "–"
    assert render(f"{{{{ x|{name} }}}}", x="<soon>") == "&lt;soon&gt;"
    with pytest.raises(TypeError):
        render(f"{{{{ x|{name} }}}}", x=1.5)


def test_time_says_new_york_and_has_utc_in_its_title():
    text = render("{{ at|ny_time:'full' }}", at=datetime(2025, 11, 6, 13, 0, 7, tzinfo=UTC))
    assert text == (
        '<time datetime="2025-11-06T13:00:07Z" title="2025-11-06 13:00:07 UTC">2025-11-06 08:00:07 ET</time>'
    )
    assert render("{{ at|ny_time }}{{ at|until }} {{ at|age }}", at=None) == "–– never"


def test_age_is_marked_for_the_browser_and_stays_the_same_text_while_nothing_changes():
    at = datetime(2025, 11, 6, 13, 0, 7, tzinfo=UTC)
    assert "data-age" in render("{{ at|age }}", at=at)
    assert "data-until" in render("{{ at|until }}", at=at)
    assert render("{{ at|age }}", at=at) == render("{{ at|age }}", at=at)


def test_badge_has_word_tone_and_icon_and_escapes_what_it_does_not_know():
    assert "badge-ok" in render("{% badge 'filled' %}")
    assert "partially filled" in render("{% badge 'partially_filled' %}")
    unknown = render("{% badge word %}", word="<new_word>")
    assert "badge-warn" in unknown
    assert "&lt;new word&gt;" in unknown
    assert render("{% badge '' %}") == "–"
    assert "never checked" in render("{% badge 'never' 'never checked' %}")
    assert "badge-bad" in render("{% badge 'halted' 'HALTED' 'bad' %}")


def test_every_known_state_has_a_tone_of_its_own_choice():
    for word in {*KNOWN_STATUSES, *(state.value for state in SubmissionState)}:
        assert word in tones._TONE_OF, word


def test_every_tone_has_an_icon_file():
    for tone in ("ok", "info", "warn", "bad", "mute"):
        assert (ICONS / f"{tones.icon_of(tone)}.svg").is_file()


def test_words_json_and_dashes():
    assert render("{{ w|words }}", w="pending_new") == "pending new"
    assert render("{{ w|or_dash }}", w=0) == "0"
    assert render("{{ w|or_dash }}", w="") == "–"
    assert render("{{ m|get:'a' }}", m={"a": 1}) == "1"
    assert "1.50" in render("{{ m|pretty_json }}", m={"a": Decimal("1.50")})
    assert render("{{ s|span }} {{ b|bytes_of }}", s=61, b=2000) == "1 min 2.0 kB"


def test_menu_marks_where_the_reader_is():
    request = RequestFactory().get("/orders/7/")
    source = "{% nav_link 'Overview' 'overview' 'overview' %}{% nav_link 'Orders' 'orders:list' 'orders' %}"
    text = render(source, request=request)
    assert text.count("aria-current") == 1
    assert 'href="/orders/" aria-current="true"' in text


@pytest.mark.parametrize(("kind", "role"), [("none", ""), ("no-match", ""), ("failed", 'role="alert"')])
def test_three_kinds_of_empty(kind, role):
    context = {"kind": kind, "title": "Nothing", "text": "Why", "action_href": "?x", "action_label": "Clear"}
    text = render_to_string("partials/_empty.html", context)
    assert f'data-empty="{kind}"' in text
    assert role in text
    assert '<a class="button" href="?x">Clear</a>' in text


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_no_template_breaks_the_content_security_policy(path):
    text = path.read_text()
    assert " style=" not in text
    assert "<style" not in text
    assert "hx-on" not in text
    assert "js:" not in text
    # A block of JSON is data: a browser never runs it, so the policy has nothing against it.
    scripts = re.findall(r"<script\b[^>]*>", text)
    assert [
        tag for tag in scripts if not tag.startswith("<script src=") and ' type="application/json"' not in tag
    ] == []
