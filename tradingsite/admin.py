"""The admin of what is nobody's own: people, and django-q2's rows."""

from tradingsite import admin_door, people_admin, queue_admin

__all__ = ["admin_door", "people_admin", "queue_admin"]
