"""The correlation id, and the chain's columns. 0003 fills them: where data comes first, PostgreSQL refuses the change."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='auditentry',
            name='correlation_id',
            field=models.CharField(blank=True, db_index=True, default='', help_text='The same in every log line of the act.', max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='auditentry',
            name='digest',
            field=models.CharField(default='', editable=False, help_text='SHA-256 of what the entry says.', max_length=64),
            preserve_default=False,
        ),
        migrations.CreateModel(
            name='AuditLink',
            fields=[
                ('sequence', models.PositiveBigIntegerField(help_text='1, 2, 3 … without gaps.', primary_key=True, serialize=False)),
                ('previous', models.CharField(help_text='The digest before it.', max_length=64)),
                ('digest', models.CharField(help_text='SHA-256 of the digest before it and what the entry says.', max_length=64)),
                ('entry', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='link', to='audit.auditentry')),
            ],
            options={
                'ordering': ('sequence',),
            },
        ),
    ]
