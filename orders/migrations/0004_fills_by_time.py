from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0003_every_way_to_drift"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="fill",
            index=models.Index(fields=["account", "transaction_time"], name="fill_by_time"),
        ),
    ]
