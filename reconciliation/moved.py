"""A picture that went stale: what was shown then beside what is shown now, so that a refusal explains itself."""

from collections.abc import Iterable
from dataclasses import dataclass

from reconciliation.models import Fix
from reconciliation.presentation import Section, consequence_of, sections_of

_VOID = frozenset({Fix.State.STALE, Fix.State.WITHDRAWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A void fix and the one that took its place, if the difference is still there."""

    old: Fix
    new: Fix | None
    old_sections: list[Section]
    new_sections: list[Section]
    differences: list[str]  # what the new one writes otherwise than the old one
    consequence: str  # of the new one

    @property
    def can_be_approved(self) -> bool:
        return self.new is not None and self.new.state == Fix.State.PROPOSED


def is_void(fix: Fix) -> bool:
    return fix.state in _VOID


def moved(fixes: Iterable[Fix]) -> list[Moved]:
    """Each void fix beside its successor. Successors have the same key: they repair the same difference."""
    void = [fix for fix in fixes if is_void(fix)]
    if not void:
        return []
    keys, accounts = [fix.key for fix in void], {fix.account_id for fix in void}
    later = Fix.objects.filter(account__in=accounts, key__in=keys).order_by("pk")
    successors = {(fix.account_id, fix.key): fix for fix in later}
    return [_beside(fix, successors.get((fix.account_id, fix.key))) for fix in void]


def _beside(old: Fix, latest: Fix | None) -> Moved:
    new = latest if latest is not None and latest.pk > old.pk and not is_void(latest) else None
    return Moved(
        old=old,
        new=new,
        old_sections=sections_of(old, all_fields=False),
        new_sections=sections_of(new, all_fields=False) if new else [],
        differences=_differences(old, new) if new else [],
        consequence=consequence_of(new) if new else "",
    )


def _differences(old: Fix, new: Fix) -> list[str]:
    then, now = _written(old), _written(new)
    return [
        f"{name}: {then.get(name) or '–'} → {now.get(name) or '–'}"
        for name in dict.fromkeys([*then, *now])
        if then.get(name, "") != now.get(name, "")
    ]


def _written(fix: Fix) -> dict[str, str]:
    sections = sections_of(fix, all_fields=True)
    return {f"{section.name} {field.label}": field.after for section in sections for field in section.fields}
