from django.apps import AppConfig


class WorkConfig(AppConfig):
    name = "work"

    def ready(self) -> None:
        from audit import journal
        from work import correlation

        if correlation.current not in journal.correlation_sources:
            journal.correlation_sources.append(correlation.current)
