from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_one_customer_per_address")]
    operations = [
        migrations.RenameField("customer", "address", "email"),
        migrations.AlterField("customer", "email", models.CharField(max_length=80)),
        migrations.DeleteModel("Draft"),
        migrations.RemoveField("order", "comment"),
        migrations.AddField("order", "state", models.CharField(default="open", max_length=10)),
        migrations.AddConstraint("customer", models.UniqueConstraint(fields=["email"], name="one_customer_per_email")),
        migrations.AddConstraint("wish", models.UniqueConstraint(fields=["customer", "product"], name="one_wish_per_product")),
        migrations.AddConstraint("wish", models.UniqueConstraint(
            fields=["customer", "rank"], name="one_wish_per_rank", deferrable=models.Deferrable.DEFERRED)),
        migrations.AddConstraint("order", models.UniqueConstraint(fields=["customer", "number"], name="one_order_per_number")),
        migrations.AddConstraint("order", models.UniqueConstraint(
            fields=["customer"], condition=models.Q(state="open"), name="one_open_order")),
    ]
