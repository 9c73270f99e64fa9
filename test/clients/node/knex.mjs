// A shop on Knex: migrations forth and back, the query builder, transactions within transactions.
// packages: nodejs
import knexOf from 'knex';
import { connection, fails, show, sorted } from './transcript.mjs';

const migrations = {
  '1_shop': {
    async up(knex) {
      await knex.schema.createTable('users', (t) => {
        t.increments('id');
        t.string('email').notNullable().unique();
        t.string('name');
        t.integer('version').notNullable().defaultTo(1);
      });
      await knex.schema.createTable('products', (t) => {
        t.integer('id').primary();
        t.string('sku').notNullable();
        t.string('country').notNullable();
        t.decimal('price', 8, 2);
        t.unique(['sku', 'country'], { indexName: 'one_sku' });
      });
      await knex.schema.createTable('orders', (t) => {
        t.increments('id');
        t.integer('user_id').notNullable().references('users.id').onDelete('CASCADE').index();
        t.string('number').unique();
        t.jsonb('address');
      });
      await knex.schema.createTable('order_lines', (t) => {
        t.integer('order_id').references('orders.id').onDelete('CASCADE');
        t.integer('product_id').references('products.id').onDelete('RESTRICT');
        t.integer('quantity').notNullable().defaultTo(1);
        t.primary(['order_id', 'product_id']);
      });
      await knex.schema.createTable('reviews', (t) => {
        t.uuid('id').primary();
        t.integer('user_id').references('users.id').onDelete('SET NULL');
        t.integer('product_id').notNullable().references('products.id').onDelete('CASCADE');
        t.text('body');
      });
    },
    async down(knex) {
      for (const table of ['reviews', 'order_lines', 'orders', 'products', 'users']) await knex.schema.dropTable(table);
    },
  },
  '2_tags': {
    async up(knex) {
      await knex.schema.createTable('tags', (t) => {
        t.increments();
        t.string('name').unique();
      });
      await knex.schema.createTable('product_tags', (t) => {
        t.integer('product_id').references('products.id').onDelete('CASCADE').onUpdate('CASCADE');
        t.integer('tag_id').references('tags.id').onDelete('CASCADE');
        t.primary(['product_id', 'tag_id']);
      });
      await knex.schema.alterTable('users', (t) => {
        t.string('login');
        t.unique('login');
        t.unique('name', { indexName: 'one_name', useConstraint: false });
      });
    },
    async down(knex) {
      await knex.schema.alterTable('users', (t) => {
        t.dropUnique('login');
        t.dropIndex('name', 'one_name');
        t.dropColumn('login');
      });
      await knex.schema.dropTable('product_tags').dropTable('tags');
    },
  },
  '3_names': {
    async up(knex) {
      await knex.schema.alterTable('users', (t) => {
        t.renameColumn('login', 'nick');
        t.dropIndex(['name'], 'one_name');
        t.text('name').notNullable().defaultTo('').alter();
        t.boolean('admin').notNullable().defaultTo(false);
      });
      await knex.schema.renameTable('order_lines', 'lines');
      await knex.schema.createView('spending', (view) => {
        view.columns(['name', 'total']);
        view.as(knex('users').join('orders', 'orders.user_id', 'users.id').join('lines', 'lines.order_id', 'orders.id')
          .join('products', 'products.id', 'lines.product_id').groupBy('users.id').select('users.name', knex.raw('sum(quantity * price)')));
      });
    },
    async down(knex) {
      await knex.schema.dropView('spending').renameTable('lines', 'order_lines');
      await knex.schema.alterTable('users', (t) => {
        t.renameColumn('nick', 'login');
        t.dropColumn('admin');
        t.string('name').nullable().alter();
        t.unique(['name'], { indexName: 'one_name', useConstraint: false });
      });
    },
  },
};

const knex = knexOf({
  client: 'pg',
  connection,
  pool: { min: 0, max: 3 },
  migrations: {
    migrationSource: {
      getMigrations: async () => Object.keys(migrations),
      getMigrationName: (name) => name,
      getMigration: async (name) => migrations[name],
    },
  },
});

// --------------------------------------------------------------- migrations

show('latest', (await knex.migrate.latest())[1]);
show('nothing left', (await knex.migrate.latest())[1]);
show('fixture of a user', (await knex('users').insert({ id: 1, email: 'old@example.org', name: 'Old', nick: 'old' })).rowCount);
show('deleted', await knex('users').where({ id: 1 }).del());
show('rolled back', (await knex.migrate.rollback())[1]);
show('latest', (await knex.migrate.latest())[1]);
show('one down', (await knex.migrate.down())[1]);
show('one up', (await knex.migrate.up())[1]);
show('where we are', await knex.migrate.currentVersion());
show('done', (await knex.migrate.list())[0].map(({ name }) => name));
show('tables', await Promise.all(['users', 'lines', 'order_lines', 'spending'].map((name) => knex.schema.hasTable(name))));

// ----------------------------------------------------------------- fixtures

async function seed() {
  for (const table of ['product_tags', 'tags', 'reviews', 'lines', 'orders', 'products', 'users']) show(`delete ${table}`, await knex(table).del());
  await knex('users').insert([{ id: 1, email: 'ann@example.org', name: 'Ann', nick: 'a' }, { id: 2, email: 'bob@example.org', name: 'Bob' }]);
  await knex('products').insert([1, 2, 3].map((id) => ({ id, sku: `p${id}`, country: 'de', price: 10 * id })));
  await knex('orders').insert([{ id: 1, user_id: 1, number: 'A' }, { id: 2, user_id: 1, number: 'B' }, { id: 3, user_id: 2, number: 'C' }]);
  await knex('lines').insert([[1, 1], [1, 2], [2, 2], [3, 1]].map(([order_id, product_id]) => ({ order_id, product_id })));
  await knex('tags').insert([{ id: 1, name: 'new' }, { id: 2, name: 'sale' }]);
  await knex('product_tags').insert([[1, 1], [1, 2], [2, 2]].map(([product_id, tag_id]) => ({ product_id, tag_id })));
  await knex('reviews').insert([1, 2].map((id) => ({ id: `00000000-0000-4000-8000-00000000000${id}`, user_id: id, product_id: 1, body: 'good' })));
  for (const table of ['users', 'orders', 'tags']) await knex.raw("SELECT setval(pg_get_serial_sequence(?, 'id'), 10)", table);
}
await seed();
await seed(); // as before each test of a suite, with the same ids
show('truncate', (await knex('reviews').truncate()).command);
await seed();

async function state() {
  show('users', await knex('users').select('id', 'email', 'name', 'nick', 'version').orderBy('id'));
  show('orders', await knex('orders').select('id', 'user_id', 'number').orderBy('id'));
  show('lines', await knex('lines').select('order_id', 'product_id', 'quantity').orderBy(['order_id', 'product_id']));
  show('tags of products', await knex('products as p').leftJoin('product_tags as pt', 'pt.product_id', 'p.id').leftJoin('tags as t', 't.id', 'pt.tag_id')
    .select('p.id', 'p.sku', 't.name').orderBy(['p.id', 't.id']));
  show('reviews', await knex('reviews').select('id', 'user_id', 'product_id').orderBy('id'));
  show('spending', sorted(await knex('spending').select('name', 'total')));
}
await state();

// ---------------------------------------------- counts, RETURNING, foreign keys

show('del', await knex('orders').where({ number: 'B' }).del());
show('del again', await knex('orders').where({ number: 'B' }).del());
show('del with returning', await knex('orders').where({ id: 3 }).del(['id', 'user_id', 'number']));
show('del of nothing', await knex('orders').where({ id: 3 }).delete().returning('id'));
show('del through a subquery', await knex('lines').whereIn('order_id', knex('orders').select('id').where('number', 'A')).andWhere('product_id', 2).del());
show('update of what is deleted', await knex('orders').where({ id: 3 }).update({ number: 'D' }, ['id']));
show('count', await knex('orders').count('id as n').first());
show('first', await knex('orders').where({ id: 3 }).first('id'));
show('pluck', await knex('orders').orderBy('id').pluck('number'));
show('exists', (await knex('users').whereExists(knex('orders').whereRaw('orders.user_id = users.id')).select('id')).length);
await fails('restrict', () => knex('products').where({ id: 1 }).del());
show('cascade', await knex('users').where({ id: 1 }).del());
show('restrict no more', await knex('products').where({ id: 1 }).del('sku'));
await fails('child of a deleted parent', () => knex('orders').insert({ user_id: 1, number: 'E' }));
await state();

// --------------------------------------------------------------------- keys

await fails('unique', () => knex('users').insert({ email: 'bob@example.org' }));
await fails('primary key', () => knex('products').insert({ id: 2, sku: 'x', country: 'y' }));
await fails('two columns', () => knex('products').insert({ id: 20, sku: 'p2', country: 'de' }));
show('free id and email', await knex('users').insert({ id: 1, email: 'ann@example.org', name: 'Ann II', nick: 'a' }, ['id', 'email']));
show('free number', await knex('orders').insert({ user_id: 1, number: 'A' }).returning(['id', 'number']));
show('batch', await knex.batchInsert('orders', [{ id: 1, user_id: 1, number: 'B' }, { id: 2, user_id: 2, number: 'C' }, { id: 3, user_id: 2, number: 'D' }], 2).returning('id'));
show('in one transaction', await knex.transaction(async (trx) => {
  const result = [];
  for (const name of ['sale', 'Sale', 'sale']) {
    result.push(await trx('tags').where({ id: 2 }).del());
    result.push(await trx('tags').insert({ id: 2, name }).returning(['id', 'name']));
  }
  return result;
}));

// rewriting a many-to-many list, as frameworks do: delete all, insert what is wanted
for (const tags of [[1, 2], [2], [1, 2], []]) {
  await knex.transaction(async (trx) => {
    show('unlinked', await trx('product_tags').where({ product_id: 2 }).del());
    if (tags.length) show('linked', await trx('product_tags').insert(tags.map((tag_id) => ({ product_id: 2, tag_id })), '*').then((rows) => rows.length));
  });
}

// ------------------------------------------------------------------- upserts

for (const round of [1, 2, 3]) {
  const row = { email: 'cid@example.org', name: `Cid ${round}` };
  show(`round ${round}: merge`, await knex('users').insert(row).onConflict('email').merge().returning(['name', 'version']));
  show(`round ${round}: merge some`, await knex('users').insert({ ...row, nick: 'c' }).onConflict('email').merge(['nick']).returning(['name', 'nick']));
  show(`round ${round}: merge where`, await knex('users').insert({ ...row, name: 'x' }).onConflict('email').merge().where('users.version', '>', 1).returning('name'));
  show(`round ${round}: merge with values`, await knex('users').insert(row).onConflict('email').merge({ version: knex.raw('users.version + 1') }).returning(['name', 'version']));
  show(`round ${round}: ignore`, await knex('users').insert(row).onConflict('email').ignore().returning('name'));
  show(`round ${round}: ignore any`, (await knex('users').insert(row).onConflict().ignore()).rowCount);
  if (round < 3) show(`round ${round}: del`, await knex('users').where({ email: row.email }).del());
}
show('by two columns', await knex('products').insert([{ id: 1, sku: 'p1', country: 'de', price: 1 }, { id: 30, sku: 'p3', country: 'de', price: 3 }])
  .onConflict(['sku', 'country']).merge(['price']).returning(['id', 'price']));
show('by primary key', await knex('lines').insert([{ order_id: 1, product_id: 1, quantity: 5 }, { order_id: 2, product_id: 1 }])
  .onConflict(['order_id', 'product_id']).merge().returning(['order_id', 'quantity']));

// ------------------------------------------------- transactions, optimistic locks

await fails('a transaction that fails', () => knex.transaction(async (trx) => {
  show('del in it', await trx('users').del());
  await trx('users').insert([{ email: 'x' }, { email: 'x' }]);
}));
show('nothing happened', await knex('users').count('* as n').first());
await knex.transaction(async (trx) => {
  show('outer', await trx('tags').where({ id: 1 }).del());
  await fails('a savepoint that fails', () => trx.transaction(async (inner) => {
    show('inner', await inner('tags').where({ id: 2 }).del());
    await inner('tags').insert({ id: 3, name: null }).returning('id');
    await inner('product_tags').insert({ product_id: 3, tag_id: 2 });
  }));
  show('another one', await trx.transaction((inner) => inner('tags').insert({ id: 1, name: 'sale too' }, ['id', 'name'])));
  show('seen inside', await trx('tags').select('id', 'name').orderBy('id'));
});
show('seen after', await knex('tags').select('id', 'name').orderBy('id'));

const lock = (id, version) => knex('users').where({ id, version }).update({ version: version + 1, nick: 'z' });
show('optimistic', [await lock(1, 1), await lock(1, 1), await lock(1, 2)]);
show('del with version', [await knex('users').where({ id: 1, version: 1 }).del(), await knex('users').where({ id: 1, version: 3 }).del()]);
show('optimistic, deleted', await lock(1, 3));

await knex.transaction(async (trx) => {
  show('locked', await trx('products').where('id', '<', 3).orderBy('id').forUpdate().pluck('id'));
  show('skipped', await knex('products').orderBy('id').forUpdate().skipLocked().pluck('id'));
  await fails('no wait', () => knex('products').where({ id: 2 }).forUpdate().noWait().pluck('id'));
});
show('with a CTE', await knex.with('gone', knex('orders').where('user_id', 2).del(['id', 'number'])).from('gone').select('number').orderBy('number'));
await knex('reviews').insert({ id: '00000000-0000-4000-8000-000000000003', product_id: 2 });
show('del with a join', await knex('reviews').using('products').whereRaw('products.id = reviews.product_id').del());
show('increment', await knex('products').where({ id: 2 }).increment('price', 5).returning('price'));
show('union', await knex('tags').select('name').union(knex('users').select('name')).orderBy('name'));
await state();
show('delete all', await knex('users').del());
await state();

await knex.destroy();
