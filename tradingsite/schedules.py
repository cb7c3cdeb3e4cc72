"""The schedules of the installation, declared once. What is not here any more is removed."""

from dataclasses import dataclass

from django_q.models import Schedule

from work import leases

PREFIX = "tradingsite: "


@dataclass(frozen=True)
class Timetable:
    """`cron` is read in New York time (Q_CLUSTER["time_zone"])."""

    name: str
    function: str
    cron: str


TIMETABLES = (
    Timetable("heartbeat", "tradingsite.tasks.heartbeat", "* * * * *"),
    # The net under the tickers. What is due is in the rows, and queued under names that are not queued twice at a time.
    Timetable("find due work", "tradingsite.tasks.find_due_work", "* * * * *"),
    # It asks the stored calendar whether a session has closed: half days, holidays, a close that was missed.
    Timetable("reconcile at the close", "reconciliation.tasks.reconcile_at_close", "*/5 * * * *"),
    Timetable("read the trading calendar", "reconciliation.tasks.refresh_calendar", "10 4,8 * * *"),
    # Makes the report of a session once its run at the close has ended, whenever that is.
    Timetable("daily report", "alerts.tasks.daily_report", "*/5 * * * *"),
    Timetable("prove the audit journal", "upkeep.tasks.nightly_proof", "30 1 * * *"),
    Timetable("back up", "upkeep.tasks.nightly_backup", "0 2 * * *"),
    Timetable("maintain the database", "upkeep.tasks.nightly_maintenance", "0 3 * * *"),
    Timetable("thin out old figures", "reconciliation.tasks.thin_out", "30 2 * * *"),
)


def sync_schedules() -> int:
    """Bring the rows in step with the declaration; return how many changed.

    django-q2 gives a schedule no unique name, so the lease lets one process at a time do it. Who does not get it has
    nothing to do: the other one is doing the same.
    """
    with leases.holding("sync-schedules", seconds=30) as taken:
        if not taken:
            return 0
        names = [PREFIX + timetable.name for timetable in TIMETABLES]
        removed: int = Schedule.objects.filter(name__startswith=PREFIX).exclude(name__in=names).delete()[0]
        return removed + sum(_sync(timetable) for timetable in TIMETABLES)


def _sync(timetable: Timetable) -> int:
    wanted = {"func": timetable.function, "schedule_type": Schedule.CRON, "cron": timetable.cron, "repeats": -1}
    name = PREFIX + timetable.name
    if Schedule.objects.filter(name=name, **wanted).exists():
        return 0
    schedule, is_new = Schedule.objects.get_or_create(name=name, defaults=wanted)
    if not is_new:
        for field, value in wanted.items():
            setattr(schedule, field, value)
        schedule.next_run = schedule.calculate_next_run()
        schedule.save()
    return 1
