"""`manage.py backfill`: approve, apply, verify. Exit 0 all verified, 1 some not, 2 refused."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.utils import timezone

from reconciliation.account_option import add_account_option, as_json, chosen_account, refusals
from reconciliation.applying import apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.columns import columns
from reconciliation.documents import fix_document
from reconciliation.errors import FixRefused, NeedsOverride
from reconciliation.models import Drift, Fix


class Command(BaseCommand):
    help = "Approve proposed backfills, apply and verify them. Exit status: 0 all verified, 1 some not, 2 refused."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_account_option(parser)
        chosen = parser.add_mutually_exclusive_group(required=True)
        chosen.add_argument("--fix", type=int, nargs="+", metavar="ID", help="these fixes")
        chosen.add_argument(
            "--all", action="store_true", help="every proposed fix of the account that acts in our books only"
        )
        parser.add_argument("--as", dest="user", required=True, metavar="USER", help="the person who approves")
        parser.add_argument(
            "--override-guard",
            metavar="REASON",
            default="",
            help="let it go beyond the wipe-out guard, or through a barred time, for this reason (journaled)",
        )
        parser.add_argument("--dry-run", action="store_true", help="show what would be written and write nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        with refusals():
            actor = approver(options["user"])
            fixes = _chosen(options)
            if options["dry_run"]:
                self._show(fixes, as_document=options["json"])
                return
            _approve(fixes, actor, options["override_guard"])
            for account in {fix.account for fix in fixes}:
                apply_approved(account=account, actor=actor)
            ended = list(Fix.objects.filter(pk__in=[fix.pk for fix in fixes]).select_related("account"))
        if options["json"]:
            self.stdout.write(as_json({"fixes": [fix_document(fix) for fix in ended]}))
        else:
            for fix in ended:
                self.stdout.write(f"fix {fix.pk}  {fix.get_state_display():12} {fix.title} {fix.outcome}".rstrip())
            if not ended:
                self.stdout.write("No fix is proposed; nothing was done.")
        sys.exit(0 if all(fix.state == Fix.State.VERIFIED for fix in ended) else 1)

    def _show(self, fixes: list[Fix], *, as_document: bool) -> None:
        if as_document:
            self.stdout.write(as_json({"dry_run": True, "fixes": [fix_document(fix) for fix in fixes]}))
            return
        for fix in fixes:
            self.stdout.write(f"fix {fix.pk}  {fix.title}")
            for row in columns(fix):
                if row.changes:
                    self.stdout.write(f"    {row.label}: {row.database or '–'} → {row.after}")


def approver(username: str, *, act: str = "approve") -> str:
    """Return the name of a user who may approve and undo backfills, or refuse what they are about to do."""
    user = get_user_model().objects.filter(username=username, is_active=True).first()
    if user is None:
        raise FixRefused(f"There is no active user {username!r}.")
    if not user.has_perm("reconciliation.approve_fix"):
        raise FixRefused(f"User {username} may not {act} backfills: the group ops may.")
    return username


def _approve(fixes: list[Fix], actor: str, reason: str) -> None:
    try:
        approve_fixes(fixes=fixes, actor=actor, now=timezone.now(), override_reason=reason)
    except NeedsOverride as error:
        raise FixRefused(f"{error} Nothing was approved. If that is right, add --override-guard REASON.") from None


def _chosen(options: dict[str, Any]) -> list[Fix]:
    fixes = Fix.objects.select_related("account").order_by("pk")
    if options["all"]:
        account = chosen_account(options["account"])
        # Copying is not trading: what acts at Alpaca is approved by its id, one by one.
        waiting = fixes.filter(
            account=account, state__in=[Fix.State.PROPOSED, Fix.State.APPROVED], acts_at_broker=False
        )
        return list(waiting.exclude(drifts__state=Drift.State.IGNORED))
    found = list(fixes.filter(pk__in=options["fix"]))
    missing = sorted(set(options["fix"]) - {fix.pk for fix in found})
    if missing:
        raise FixRefused(f"There is no fix {', '.join(map(str, missing))}. `manage.py fixes` lists them.")
    return found
