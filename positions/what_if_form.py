"""The what-if of one open position as a form: what a person typed, checked, and what follows from it."""

from decimal import Decimal
from typing import Any

from django import forms

from broker.models import Account
from broker.numbers import plain
from positions.errors import InvalidParameters
from positions.models import Position
from positions.parameters import check_percentages
from positions.risk import on_tick
from positions.what_if import (
    Holding,
    Outlook,
    WhatIf,
    compare,
    outlook,
    stop_at,
    stop_percent,
    target_at,
    target_percent,
)


def holding_of(position: Position) -> Holding:
    return Holding(
        side="long" if position.side == "long" else "short",
        qty=position.qty,
        entry_price=position.avg_entry_price,
        last_price=position.last_price,
    )


def _percent_field(label: str) -> forms.DecimalField:
    attrs = {"step": "0.01", "inputmode": "decimal", "autocomplete": "off"}
    return forms.DecimalField(label=label, required=False, widget=forms.NumberInput(attrs=attrs))


def _price_field(label: str) -> forms.DecimalField:
    attrs = {"step": "any", "inputmode": "decimal", "autocomplete": "off"}
    return forms.DecimalField(
        label=label, required=False, min_value=Decimal("0.0001"), max_value=Decimal(10**7),
        widget=forms.NumberInput(attrs=attrs),
    )  # fmt: skip


class WhatIfForm(forms.Form):
    """Stop and target by percent from the entry or by price; a price decides. What is left empty stays as it is."""

    stop_pct = _percent_field("Stop, % from entry")
    stop_price = _price_field("or stop price, USD")
    target_pct = _percent_field("Target, % from entry")
    target_price = _price_field("or target price, USD")

    def __init__(self, *args: Any, position: Position, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.position = position
        self.holding = holding_of(position)
        self.fields["stop_pct"].initial = plain(position.stop_loss_pct)
        self.fields["target_pct"].initial = plain(position.target_pct)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self._check(cleaned.get("stop_pct"), cleaned.get("target_pct"))
        return cleaned

    def _check(self, stop_pct: Decimal | None, target_pct: Decimal | None) -> None:
        """Percentages keep the rules of parameters, so that what is shown here can be saved as it is."""
        stand_in = Decimal(1)
        for stop, target in ((stop_pct, stand_in), (stand_in, target_pct)):
            if stop is None or target is None:
                continue
            try:
                check_percentages(stop_loss_pct=stop, target_pct=target)
            except InvalidParameters as error:
                self.add_error("stop_pct" if error.field == "stop_loss_pct" else "target_pct", str(error))
        if self.holding.side == "short" and target_pct is not None and target_pct >= 100:
            self.add_error("target_pct", "The target of a short must be less than 100 %: no price falls below 0.")

    def result(self, *, equity: Decimal | None) -> WhatIf:
        """Compare what is with what was asked for. One query: the risk of the account's other open positions."""
        others = other_risks(self.position.account, self.position)
        known = [risk for risk in others if risk is not None]
        return compare(
            self.holding,
            before=self._before(),
            after=self._after(),
            other_risk=sum(known, Decimal(0)),
            others_unknown=len(others) - len(known),
            equity=equity,
        )

    def _before(self) -> Outlook:
        now = self.position
        return outlook(
            self.holding,
            stop_loss=now.stop_loss,
            target=now.target,
            stop_loss_pct=now.stop_loss_pct,
            target_pct=now.target_pct,
        )

    def _after(self) -> Outlook:
        stop, stop_pct = self._wanted("stop_price", "stop_pct", self.position.stop_loss, self.position.stop_loss_pct)
        target, target_pct = self._wanted("target_price", "target_pct", self.position.target, self.position.target_pct)
        return outlook(self.holding, stop_loss=stop, target=target, stop_loss_pct=stop_pct, target_pct=target_pct)

    def _wanted(
        self, price_field: str, percent_field: str, price_now: Decimal | None, percent_now: Decimal | None
    ) -> tuple[Decimal | None, Decimal | None]:
        """Return price and percent of one level: by the price asked for, else by the percentage, else as it is."""
        typed = self.cleaned_data if self.is_bound else {}
        price, percent = typed.get(price_field), typed.get(percent_field)
        is_stop = price_field == "stop_price"
        if price is not None:
            price = on_tick(price)
            return price, (stop_percent if is_stop else target_percent)(self.holding, price)
        if percent is not None and percent != percent_now:
            return (stop_at if is_stop else target_at)(self.holding, percent), percent
        return price_now, percent_now


def other_risks(account: Account, position: Position) -> list[Decimal | None]:
    others = Position.objects.open().filter(account=account).exclude(pk=position.pk)
    return list(others.order_by().values_list("total_risk", flat=True))


def can_be_parameters(form: WhatIfForm, after: Outlook) -> bool:
    """Whether percentages can say what is shown: both levels on their own side of the entry, within the limits."""
    if after.stop_loss_pct is None or after.target_pct is None:
        return False
    try:
        check_percentages(stop_loss_pct=after.stop_loss_pct, target_pct=after.target_pct)
    except InvalidParameters:
        return False
    return form.holding.side == "long" or after.target_pct < 100
