from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def forget_beats(apps: StateApps, _editor: BaseDatabaseSchemaEditor) -> None:
    """On the way back one name has one row again. Whoever lives beats within seconds."""
    apps.get_model("work", "Heartbeat").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("work", "0001_initial")]

    operations = [
        migrations.AlterField("heartbeat", "name", models.CharField(max_length=100)),
        migrations.AddField(
            "heartbeat", "cluster", models.CharField(blank=True, default="", max_length=120), preserve_default=False
        ),
        migrations.AddConstraint(
            "heartbeat",
            models.UniqueConstraint(fields=("name", "cluster"), name="one_heartbeat_for_each_part"),
        ),
        migrations.CreateModel(
            name="DroppedDelivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                ("function", models.CharField(blank=True, max_length=256)),
                ("at", models.DateTimeField(db_index=True)),
                ("deaths", models.PositiveSmallIntegerField()),
            ],
        ),
        migrations.RunPython(migrations.RunPython.noop, forget_beats),
    ]
