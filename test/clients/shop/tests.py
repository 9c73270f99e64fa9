"""The application's own tests: fixtures with explicit ids, per test rolled back or emptied by TRUNCATE."""
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

from .models import Customer, Line, Order, Product, Wish


class RolledBack(TestCase):
    fixtures = ["shop.json"]

    def test_cascade(self):
        count, per_model = Customer.objects.get(pk=101).delete()
        self.assertEqual(count, sum(per_model.values()))
        self.assertEqual(per_model, {"shop.Customer": 1, "shop.Profile": 1, "shop.Wish": 2, "shop.Order": 2, "shop.Line": 2})
        self.assertFalse(Line.objects.exists())

    def test_again(self):
        Customer.objects.get(pk=101).delete()
        Customer.objects.create(pk=101, email="ann@example.com", name="Ann")
        self.assertEqual(Customer.objects.count(), 2)
        self.assertEqual(Order.objects.filter(customer=101).count(), 0)

    def test_fixture_is_fresh(self):
        self.assertEqual(Customer.objects.get(pk=101).orders.count(), 2)


class Emptied(TransactionTestCase):
    fixtures = ["shop.json"]
    reset_sequences = True

    def test_sequences(self):
        self.assertEqual(Customer.objects.create(email="new@example.com", name="New").pk, 103)
        Customer.objects.all().delete()
        self.assertEqual(Customer.objects.create(email="new@example.com", name="New").pk, 104)

    def test_on_commit(self):
        called = []
        with transaction.atomic():
            Order.objects.select_for_update().get(pk=12).delete()
            transaction.on_commit(lambda: called.append(Order.objects.count()))
        self.assertEqual(called, [1])

    def test_deferred_rank(self):
        with transaction.atomic():
            Wish.objects.filter(pk=1).update(rank=2)
            Wish.objects.filter(pk=2).update(rank=1)
        with transaction.atomic():
            Wish.objects.filter(pk=1).delete()
            Wish.objects.create(pk=1, customer_id=101, product_id="sencha", rank=2)
        self.assertEqual(list(Wish.objects.order_by("rank").values_list("pk", flat=True)), [2, 1])

    def test_fixture_is_fresh(self):
        self.assertEqual(Product.objects.get(pk="sencha").tags.count(), 2)
        self.assertEqual(list(Customer.objects.order_by("pk").values_list("pk", flat=True)), [101, 102])
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM shop_customer")
            self.assertEqual(cursor.fetchone(), (2,))
