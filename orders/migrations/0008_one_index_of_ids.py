from django.db import migrations, models
from django.db.models import Case, F, Value, When


class RemoveIndexOfSqlite(migrations.RemoveIndex):
    """PostgreSQL keeps the index: there only it answers the search by the beginning of a text."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "sqlite":
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    """On SQLite each id of an order stood in two indexes, of which the unique one can answer every question."""

    dependencies = [
        ("orders", "0007_correlation_id"),
    ]

    operations = [
        RemoveIndexOfSqlite(model_name="order", name="order_by_client_order_id"),
        RemoveIndexOfSqlite(model_name="order", name="order_by_broker_order_id"),
        migrations.RemoveConstraint(model_name="order", name="order_broker_order_id_once"),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.UniqueConstraint(
                F("account"),
                F("broker_order_id"),
                Case(When(broker_order_id="", then=F("client_order_id")), default=Value("")),
                name="order_broker_order_id_once",
            ),
        ),
    ]
