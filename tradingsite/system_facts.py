"""What the System page shows beside signs of life: schedules, room on the disk, versions."""

import platform
import shutil
import tomllib
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from importlib.metadata import version

from django.conf import settings
from django.db.models import BooleanField, DateTimeField, Max, OuterRef, Subquery
from django_q.models import Schedule, Task

from broker.models import TradingDay
from broker.trading_days import Session, next_to_close
from tradingsite.schedules import PREFIX

PACKAGES = ("Django", "django-q2", "alpaca-py", "django-htmx", "whitenoise")


@dataclass(frozen=True, slots=True)
class Timetabled:
    """A schedule with its last and its next run; `went_well` is None before the first one ended."""

    name: str
    function: str
    cron: str
    next_run: datetime | None
    last_run: datetime | None
    went_well: bool | None


@dataclass(frozen=True, slots=True)
class Room:
    free: int
    total: int

    @property
    def is_short(self) -> bool:
        return self.free < max(self.total // 20, 500_000_000)


def schedules() -> list[Timetabled]:
    """Return all in one query. The result of a run is kept only as long as django-q2 keeps results."""
    last = Task.objects.filter(id=OuterRef("task"))
    rows = Schedule.objects.annotate(
        ran_at=Subquery(last.values("stopped")[:1], output_field=DateTimeField()),
        went_well=Subquery(last.values("success")[:1], output_field=BooleanField()),
    )
    return [
        Timetabled(
            name=str(row.name or row.func).removeprefix(PREFIX),
            function=row.func,
            cron=row.cron or row.get_schedule_type_display(),
            next_run=row.next_run,
            last_run=row.ran_at,
            went_well=row.went_well,
        )
        for row in rows.order_by("next_run", "pk")
    ]


@dataclass(frozen=True, slots=True)
class CalendarFacts:
    """The stored trading calendar: when it was read, how far it goes, and which session closes next."""

    read_at: datetime | None
    known_until: date | None
    coming: Session | None


def calendar_facts(now: datetime) -> CalendarFacts:
    found = TradingDay.objects.aggregate(read_at=Max("read_at"), known_until=Max("day"))
    return CalendarFacts(found["read_at"], found["known_until"], next_to_close(now))


def room_on_disk() -> Room | None:
    """The room where the data folder lies; None if the system does not say."""
    try:
        usage = shutil.disk_usage(settings.DATA_DIR)
    except OSError:
        return None
    return Room(free=usage.free, total=usage.total)


@lru_cache(maxsize=1)
def versions() -> tuple[tuple[str, str], ...]:
    ours = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]["version"]
    return (
        ("This program", str(ours)),
        ("Python", platform.python_version()),
        *((name, version(name)) for name in PACKAGES),
    )
