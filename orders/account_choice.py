"""Which account a page is about.

Pages of different accounts may be open side by side, so the session alone does not decide: an address may name the
account (?account=), a form carries it, and every htmx request says which account its page shows (X-Account, set on
<body>). Only where none of them speaks does the session's last choice count, and then the default.
"""

from django.conf import settings
from django.http import Http404, HttpRequest

from broker.accounts import default_account
from broker.models import Account

SESSION_KEY = "account"
HEADER = "X-Account"
_META_KEY, _ACTIVE_META_KEY = "trading.account", "trading.accounts"


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


def active_accounts(request: HttpRequest) -> list[Account]:
    """Return the accounts there are to choose from, looked up once: they are few, and every page's frame names them."""
    accounts: list[Account] | None = request.META.get(_ACTIVE_META_KEY)
    if accounts is None:
        accounts = request.META[_ACTIVE_META_KEY] = list(Account.objects.active())
    return accounts


def _look_up(request: HttpRequest) -> Account:
    named = request.GET.get("account") or request.POST.get("account") or request.headers.get(HEADER)
    remembered = request.session.get(SESSION_KEY)
    by_slug = {account.slug: account for account in active_accounts(request)}
    if not named:
        return by_slug.get(remembered or "") or by_slug.get(settings.ALPACA_ENV) or default_account()
    if named not in by_slug:
        raise Http404(f"There is no active account {named!r}.")
    if "account" in request.GET and named != remembered:
        request.session[SESSION_KEY] = named
    return by_slug[named]
