from django.apps import AppConfig


class TradingSiteConfig(AppConfig):
    name = "tradingsite"

    def ready(self) -> None:
        from tradingsite import cluster_signs, log_output

        cluster_signs.prepare()
        log_output.guard_tracebacks()
