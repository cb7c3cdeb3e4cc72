"""Words that mean harm, put wherever a broker, a file or a person could have put them."""

from typing import Any

from django.apps import apps
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from audit import journal

#: A formula to a spreadsheet, markup to a browser, a tag to a template; short enough for a symbol.
WORD = "=1<script>x</script>{{7}}"
MARKUP = "<script>x"
_OURS = ("audit", "broker", "orders", "positions", "reconciliation", "alerts", "work", "bookmarks")
#: By these rows are found, or programs choose; or we wrote them ourselves, whole.
_NOT_WORDS = {"slug", "environment", "digest", "content_digest", "link", "holder", "claimed_by", "markdown", "html"}
#: The journal refuses to be changed.
_APPEND_ONLY = {"AuditEntry", "AuditLink"}


def speak_evil() -> set[str]:
    """Change every text of every row that is no choice of ours; return which columns took it."""
    changed = set()
    for model in apps.get_models():
        if model._meta.app_label in _OURS and model.__name__ not in _APPEND_ONLY:
            spoilt = [field.name for field in model._meta.concrete_fields if _spoil(model, field)]
            changed |= {f"{model._meta.label}.{name}" for name in spoilt}
    journal.record(at=timezone.now(), actor=WORD, action="fix.applied", summary=WORD, account=WORD, reason=WORD,
                   subject_type=WORD, subject_id=WORD, before={WORD: WORD}, after={WORD: [WORD]})  # fmt: skip
    return changed


def _spoil(model: type[models.Model], field: Any) -> bool:
    rows = model._base_manager.all()
    if field.name in _NOT_WORDS or field.choices or field.primary_key:
        return False
    if isinstance(field, models.JSONField):
        for row in rows:
            rows.filter(pk=row.pk).update(**{field.name: _with_evil(getattr(row, field.attname))})
        return rows.exists()
    if not isinstance(field, models.CharField | models.TextField) or (field.max_length or 99) < len(WORD):
        return False
    spoilt = False
    for row in rows:
        before = getattr(row, field.attname)
        if not isinstance(before, str):
            continue
        try:
            with transaction.atomic():
                spoilt |= bool(rows.filter(pk=row.pk).update(**{field.name: _unlike_others(row, field)}))
        except IntegrityError:
            continue
    return spoilt


def _unlike_others(row: models.Model, field: Any) -> str:
    """Symbols stay the same in all tables, so that pages still find what belongs together."""
    return WORD if field.name in {"symbol", "name"} else f"{WORD}{row.pk}"[: field.max_length]


def _with_evil(value: Any) -> Any:
    """Texts become evil; what is read as a number, a time or a key stays."""
    if isinstance(value, dict):
        return {key: _with_evil(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_evil(inner) for inner in value]
    is_word = isinstance(value, str) and value.replace("_", "").isalpha() and not value.islower()
    return WORD if is_word else value
