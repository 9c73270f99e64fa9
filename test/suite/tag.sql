-- From now on all tables of the tests are tagged
CREATE EXTENSION soft_delete;
SELECT soft_delete.tag_schema('public');
