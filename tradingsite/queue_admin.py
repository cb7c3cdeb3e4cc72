"""django-q2's rows in Django admin: seen, not edited. Schedules are declared in the program (schedules.py)."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success, Task

from audit import journal
from tradingsite.schedules import PREFIX

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = admin.ModelAdmin

for _model in (Schedule, Success, Failure, OrmQ):
    if admin.site.is_registered(_model):  # django-q2 leaves its table of waiting tasks out when Redis carries the queue
        admin.site.unregister(_model)


class _SeenAdmin(_Admin):
    actions: Any = None
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Schedule)
class ScheduleAdmin(_SeenAdmin):
    """The rows are kept in step with the program at every start, so editing one would not last; running it would."""

    list_display = ("what", "func", "cron", "next_run", "last_run")
    list_filter = ("schedule_type",)
    search_fields = ("name", "func")
    actions = ("run_now",)

    @admin.display(description="Schedule", ordering="name")
    def what(self, row: Schedule) -> str:
        return str(row.name or row.func).removeprefix(PREFIX)

    def get_queryset(self, request: HttpRequest) -> Any:
        ran = Task.objects.filter(id=OuterRef("task")).values("stopped")[:1]
        return super().get_queryset(request).annotate(ran_at=Subquery(ran))

    @admin.display(description="Last run", ordering="ran_at")
    def last_run(self, row: Any) -> Any:
        """Not django-q2's own column: that one asks the database once for each row."""
        return row.ran_at or "not yet"

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_q.change_schedule")

    @admin.action(description="Run now, and go on by its timetable", permissions=["run"])
    def run_now(self, request: HttpRequest, schedules: QuerySet[Schedule]) -> None:
        now = timezone.now()
        with transaction.atomic():
            for schedule in schedules:
                schedules.filter(pk=schedule.pk).update(next_run=now)
                journal.record(
                    at=now,
                    actor=request.user.get_username(),
                    action="schedule.run_now",
                    subject_type="schedule",
                    subject_id=schedule.pk,
                    summary=f"Asked to run now: {self.what(schedule)}",
                )
        messages.success(request, "A worker starts it within half a minute.")


class _TaskAdmin(_SeenAdmin):
    list_display: Any = ("func", "name", "started", "stopped", "attempt_count")
    list_filter = ("func",)
    search_fields = ("name", "func")
    date_hierarchy = "stopped"


@admin.register(Success)
class SuccessAdmin(_TaskAdmin):
    """What was carried out lately."""


@admin.register(Failure)
class FailureAdmin(_TaskAdmin):
    """What ended with an error. The System page can queue it again."""

    list_display = ("func", "name", "started", "stopped", "attempt_count", "reason")

    @admin.display(description="Why")
    def reason(self, row: Failure) -> str:
        return str(row.result or "")[:200]


@admin.register(OrmQ)
class QueuedAdmin(_SeenAdmin):
    """What waits or is in hand; its content is signed and shown by name only."""

    list_display = ("id", "key", "lock")
