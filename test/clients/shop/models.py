"""The models, as the last migration leaves them."""
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Note(models.Model):
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveIntegerField()
    about = GenericForeignKey()
    text = models.CharField(max_length=80)


class Tag(models.Model):
    name = models.CharField(max_length=20, unique=True)


class Product(models.Model):
    sku = models.CharField(max_length=20, primary_key=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    tags = models.ManyToManyField(Tag, related_name="products")


class Customer(models.Model):
    email = models.CharField(max_length=80)
    name = models.CharField(max_length=40, db_index=True)
    referrer = models.ForeignKey("self", models.SET_NULL, null=True, related_name="referred")
    wishes = models.ManyToManyField(Product, through="Wish")
    notes = GenericRelation(Note)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["email"], name="one_customer_per_email")]


class Profile(models.Model):
    customer = models.OneToOneField(Customer, models.CASCADE, primary_key=True)
    nick = models.CharField(max_length=20, unique=True, null=True)


class Wish(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE)
    product = models.ForeignKey(Product, models.CASCADE)
    rank = models.IntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "product"], name="one_wish_per_product"),
            models.UniqueConstraint(fields=["customer", "rank"], name="one_wish_per_rank", deferrable=models.Deferrable.DEFERRED),
        ]


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="orders")
    number = models.IntegerField()
    state = models.CharField(max_length=10, default="open")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "number"], name="one_order_per_number"),
            models.UniqueConstraint(fields=["customer"], condition=models.Q(state="open"), name="one_open_order"),
        ]


class Line(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT)
    quantity = models.PositiveIntegerField()


class Refund(models.Model):
    line = models.ForeignKey(Line, models.DO_NOTHING)
    amount = models.IntegerField()
