from django.apps import AppConfig


class SignInConfig(AppConfig):
    name = "signin"
    verbose_name = "Sign-in"

    def ready(self) -> None:
        from signin import journaling, known_browser, sessions

        journaling.listen()
        sessions.listen()
        known_browser.listen()
