"""`manage.py take_off_second_factor USER --as WHO --reason WHY`: for whoever has the computer itself. Exit 0, or 2."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand

from tradingsite.preconditions import refusal, require_database
from tradingsite.second_factor_admin import take_off_factors


class Command(BaseCommand):
    help = "Take a lost second factor off a person, where no administrator can: all their sessions end. Journaled."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", help="whose factor is lost")
        parser.add_argument("--as", dest="actor", required=True, metavar="USER", help="who stands for it")
        parser.add_argument("--reason", required=True, help="why; kept in the journal")

    def handle(self, *_args: Any, **options: Any) -> None:
        require_database()
        person, actor = (_person(options[name]) for name in ("username", "actor"))
        reason = options["reason"].strip()
        if not reason:
            raise refusal("Give a reason: it stands in the journal.")
        count = take_off_factors(person, actor=actor.username, reason=f"{reason} (on the computer)", is_at_page=False)
        self.stdout.write(f"Taken off {person.username}: {count} factors. All their sessions are ended.")


def _person(username: str) -> User:
    found = User.objects.filter(username=username).first()
    if found is None:
        raise refusal(f"There is no user {username!r}.")
    return found
