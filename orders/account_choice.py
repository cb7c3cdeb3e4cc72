"""Which account a page is about.

Pages of different accounts may be open side by side, so the session alone does not decide: an address may name the
account (?account=), a form carries it, and every htmx request says which account its page shows (X-Account, set on
<body>). Only where none of them speaks does the session's last choice count, and then the default.
"""

from django.http import Http404, HttpRequest

from broker.accounts import default_account
from broker.models import Account

SESSION_KEY = "account"
HEADER = "X-Account"
_META_KEY = "trading.account"


def chosen_account(request: HttpRequest) -> Account:
    """Return the account of this request, looked up once. Raise Http404 when it names one that is not active."""
    account: Account | None = request.META.get(_META_KEY)
    if account is None:
        account = _look_up(request)
        show_account(request, account)
    return account


def show_account(request: HttpRequest, account: Account) -> None:
    """The page is about something of this account, whatever was chosen: its frame must say so."""
    request.META[_META_KEY] = account


def _look_up(request: HttpRequest) -> Account:
    named = request.GET.get("account") or request.POST.get("account") or request.headers.get(HEADER)
    remembered = request.session.get(SESSION_KEY)
    if not named:
        return Account.objects.active().filter(slug=remembered).first() or default_account()
    account = Account.objects.active().filter(slug=named).first()
    if account is None:
        raise Http404(f"There is no active account {named!r}.")
    if "account" in request.GET and named != remembered:
        request.session[SESSION_KEY] = named
    return account
