from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("positions", "0004_cash_tally"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="position",
            index=models.Index(fields=["account", "state", "avg_exit_price"], name="position_by_exit"),
        ),
    ]
