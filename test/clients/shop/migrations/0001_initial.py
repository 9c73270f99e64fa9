import django.db.models.deletion
from django.db import migrations, models

ID = ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))


def reference(to, on_delete=django.db.models.deletion.CASCADE, **options):
    return models.ForeignKey(on_delete=on_delete, to=to, **options)


class Migration(migrations.Migration):
    initial = True
    dependencies = [("contenttypes", "0002_remove_content_type_name")]
    operations = [
        migrations.CreateModel("Customer", [
            ID, ("address", models.CharField(max_length=200)), ("name", models.CharField(db_index=True, max_length=40)),
            ("referrer", reference("shop.customer", django.db.models.deletion.SET_NULL, null=True, related_name="referred"))]),
        migrations.CreateModel("Draft", [ID, ("customer", reference("shop.customer")), ("text", models.TextField(null=True))]),
        migrations.CreateModel("Tag", [ID, ("name", models.CharField(max_length=20, unique=True))]),
        migrations.CreateModel("Product", [
            ("sku", models.CharField(max_length=20, primary_key=True, serialize=False)),
            ("price", models.DecimalField(decimal_places=2, max_digits=8)),
            ("tags", models.ManyToManyField(related_name="products", to="shop.Tag"))]),
        migrations.CreateModel("Profile", [
            ("customer", models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to="shop.customer")),
            ("nick", models.CharField(max_length=20, null=True, unique=True))]),
        migrations.CreateModel("Wish", [
            ID, ("rank", models.IntegerField()), ("customer", reference("shop.customer")), ("product", reference("shop.product"))]),
        migrations.AddField("customer", "wishes", models.ManyToManyField(through="shop.Wish", to="shop.Product")),
        migrations.CreateModel("Order", [
            ID, ("number", models.IntegerField()), ("comment", models.TextField(default="")),
            ("customer", reference("shop.customer", related_name="orders"))]),
        migrations.CreateModel("Line", [
            ID, ("quantity", models.PositiveIntegerField()), ("order", reference("shop.order", related_name="lines")),
            ("product", reference("shop.product", django.db.models.deletion.PROTECT))]),
        migrations.CreateModel("Refund", [
            ID, ("amount", models.IntegerField()), ("line", reference("shop.line", django.db.models.deletion.DO_NOTHING))]),
        migrations.CreateModel("Note", [
            ID, ("object_id", models.PositiveIntegerField()), ("text", models.CharField(max_length=80)),
            ("content_type", reference("contenttypes.contenttype"))]),
    ]
