from django.apps import AppConfig


class TradingSiteConfig(AppConfig):
    name = "tradingsite"
