from django.apps import AppConfig


class PositionsConfig(AppConfig):
    name = "positions"

    def ready(self) -> None:
        from orders import booking, bracketing
        from positions.exit_levels import ExitLevels
        from positions.rebuilding import rebuild_after_fills

        if rebuild_after_fills not in booking.after_fills:
            booking.after_fills.append(rebuild_after_fills)
        if ExitLevels not in bracketing.level_books:
            bracketing.level_books.append(ExitLevels)
