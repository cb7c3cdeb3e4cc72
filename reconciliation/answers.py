"""The board as an answer: to a question, and to every act on it."""

from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django_htmx.middleware import HtmxDetails

from orders.account_choice import chosen_account
from reconciliation.board import Board
from reconciliation.cause_fingerprint import reader_fingerprint
from reconciliation.forms import write_shown
from reconciliation.looking_after import PERMISSION, people_who_may
from ui.formatting import NEW_YORK
from ui.htmx import wants_fragment

BOARD = ("reconciliation/index.html", "reconciliation/_board_answer.html")


def board_context(request: HttpRequest, path: str, **more: Any) -> dict[str, Any]:
    board = Board(
        account=chosen_account(request),
        now=timezone.now(),
        page=request.GET.get("page"),
        all_fields=request.GET.get("fields") == "all",
        whose=request.GET.get("whose", ""),
        username=request.user.get_username(),
    )
    people = list(people_who_may()) if request.user.has_perm(PERMISSION) else []
    reader = reader_fingerprint(request.user, people, board.now.astimezone(NEW_YORK).date())
    shown = write_shown(board.proposed)
    return {"board": board, "board_href": path, "shown": shown, "people": people, "reader": reader, **more}


def board_path(request: HttpRequest) -> str:
    """The address of the board as the person had it before the act: with its page, its filter and its switch."""
    index = reverse("reconciliation:index")
    htmx = getattr(request, "htmx", None)
    htmx_path = htmx.current_url_abs_path if isinstance(htmx, HtmxDetails) else None
    return next(filter(None, (_on_board(path, index) for path in (htmx_path, request.POST.get("at")))), index)


def _on_board(path: str | None, index: str) -> str:
    """The path if it leads to the board of this site, else nothing: anybody may have written it."""
    try:
        parts = urlsplit(path or "")
    except ValueError:
        return ""
    if parts.path != index or parts.netloc or parts.scheme:
        return ""
    return f"{index}?{parts.query}" if parts.query else index


def board_again(request: HttpRequest, **more: Any) -> HttpResponse:
    """After an act: the board as it is now, in place for htmx and by redirect for everybody else."""
    path = board_path(request)
    if not wants_fragment(request):
        return redirect(path)
    # It stands where it stood: its choices and the links that keep them are those of its own address.
    request.GET = QueryDict(urlsplit(path).query)
    return render(request, BOARD[1], board_context(request, path, has_acted=True, **more))
