"""Many things at once are confirmed by typing how many they are: a slip of the hand cannot do that.

The dialog (dialog.js) and the page without JavaScript ask; what counts is that the server compares.
"""

from collections.abc import Mapping

from django.conf import settings

#: The form field in which the typed number comes.
FIELD = "typed_count"


def asks_for_typed_count(number: int) -> bool:
    """True when an act on so many things must be confirmed by typing their number."""
    return number > settings.TYPE_COUNT_ABOVE


def is_count_typed(post: Mapping[str, str], number: int) -> bool:
    """True when the act may go on: it is small enough, or the form holds exactly the number of what it acts on."""
    return not asks_for_typed_count(number) or post.get(FIELD, "").strip() == str(number)
