"""Which tone a word has, in one place: the colour and the icon of its badge. Presentation only."""

_TONES = {
    "ok": ("in_sync", "filled", "confirmed", "verified", "finished", "open", "resolved", "alive", "on"),
    "info": ("new", "pending", "accepted", "partially_filled", "released", "running", "submitting", "approved",
             "applied", "held", "pending_new", "accepted_for_bidding", "calculated", "done_for_day"),
    "warn": ("unconfirmed", "stale", "incomplete", "medium", "halted", "not_placed", "pending_cancel",
             "pending_replace", "pending_review", "stopped", "suspended", "proposed", "late", "estimated"),
    "bad": ("drift", "rejected", "denied", "critical", "high", "failed", "missing", "silent"),
    "mute": ("recorded", "queued", "scheduled", "canceled", "expired", "replaced", "closed", "withdrawn", "undone",
             "ignored", "low", "never", "external", "batch", "backfill", "import", "long", "short", "free"),
}  # fmt: skip
_TONE_OF = {word: tone for tone, words in _TONES.items() for word in words}
_ICONS = {"ok": "check", "info": "dot", "warn": "alert", "bad": "alert", "mute": "ring"}


def tone_of(word: str) -> str:
    """Return ok, info, warn, bad or mute. A word that we do not know warns: somebody should look at it."""
    return _TONE_OF.get(word, "warn")


def icon_of(tone: str) -> str:
    return _ICONS[tone]
