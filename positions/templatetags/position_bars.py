"""A position between its stop and its target, as a bar for a cell."""

from django import template
from django.utils.safestring import SafeString, mark_safe

from positions.models import Position
from ui.charts import level_bar
from ui.formatting import fraction, price

register = template.Library()


@register.simple_tag
def position_bar(position: Position) -> SafeString:
    """Left is the stop and right the target, for a short as well. Nothing when one of the three is not known."""
    if not position.is_open or position.last_price is None or position.stop_loss is None or position.target is None:
        return mark_safe("")
    return level_bar(
        low=position.stop_loss,
        high=position.target,
        value=position.last_price,
        entry=position.avg_entry_price,
        label=f"{position.symbol}: stop {price(position.stop_loss)}, last {price(position.last_price)}, "
        f"target {price(position.target)}; {fraction(position.stop_distance)} to the stop, "
        f"{fraction(position.target_distance)} to the target",
    )
