from django.apps import AppConfig


class TradingSiteConfig(AppConfig):
    name = "tradingsite"

    def ready(self) -> None:
        from tradingsite import cluster_signs

        cluster_signs.prepare()
