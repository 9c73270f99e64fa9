"""A Django application with migrations, fixtures and tests of its own, which django_orm.py uses."""
