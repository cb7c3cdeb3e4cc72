from django.apps import AppConfig


class WorkConfig(AppConfig):
    name = "work"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        from audit import journal
        from work import correlation, lock_waits

        if correlation.current not in journal.correlation_sources:
            journal.correlation_sources.append(correlation.current)
        connection_created.connect(lock_waits.watch, dispatch_uid="work.lock_waits")
