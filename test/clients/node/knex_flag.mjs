// Knex, with flags set by hand: a boolean, a number, a time in milliseconds; helpers, views, upserts, CTEs, triggers.
// It deletes softly by itself.
// packages: nodejs
// bridge: deleted=flag
import knexOf from 'knex';
import { connection, outcome, show } from './transcript.mjs';

const knex = knexOf({ client: 'pg', connection });

await knex.schema.createTable('users', (t) => {
  t.increments('id');
  t.string('email').notNullable().unique();
  t.integer('logins').notNullable().defaultTo(0);
  t.boolean('deleted').notNullable().defaultTo(false);
  t.index(['deleted', 'email']);
});
await knex.schema.createTable('orders', (t) => {
  t.integer('id').primary();
  t.integer('user_id').notNullable().references('users.id');
  t.string('number').notNullable();
  t.integer('deleted').defaultTo(0);
  t.unique(['user_id', 'number', 'deleted']);
});
await knex.schema.createTable('lines', (t) => {
  t.integer('order_id').references('orders.id').onDelete('CASCADE');
  t.integer('position');
  t.decimal('price', 8, 2);
  t.bigInteger('deleted'); // when, in milliseconds
  t.primary(['order_id', 'position']);
});
await knex.schema.createTable('changes', (t) => {
  t.specificType('at', 'timestamptz').defaultTo(knex.raw('clock_timestamp()'));
  t.string('line');
});
await knex.schema.createView('live_users', (view) => view.as(knex('users').select('id', 'email').where('deleted', false)));
await knex.raw(`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO changes (line) VALUES (concat_ws(' ', TG_OP, TG_TABLE_NAME, OLD.id, OLD.deleted, '->', NEW.deleted));
  RETURN NULL;
END $$`);
await knex.raw('CREATE TRIGGER note AFTER UPDATE OF deleted ON users FOR EACH ROW WHEN (OLD.deleted <> NEW.deleted) EXECUTE FUNCTION note()');

// what such applications have in a file of helpers
const live = (query) => query.where((q) => q.whereNull('deleted').orWhere('deleted', 0));
const now = 1700000000000;
const users = (q = knex) => q('users').where({ deleted: false });
const remove = (q, where) => q('users').where(where).update({ deleted: true });
const restore = (q, where) => q('users').where(where).update({ deleted: false });

/** What may differ with a bridge, and so is rolled back. */
const tryOut = (label, work) => outcome(label, async () => {
  const transaction = await knex.transaction();
  try {
    return await work(transaction);
  } finally {
    await transaction.rollback();
  }
});

async function state() {
  show('users', await users().orderBy('id').pluck('email'));
  show('deleted users', await knex('users').where('deleted', true).orderBy('id').pluck('email'));
  show('all users', await knex('users').orderBy('id').select('email', 'deleted', 'logins'));
  show('the view', await knex('live_users').orderBy('id').pluck('email'));
  show('orders', await live(knex('orders')).orderBy('id').select('id', 'number'));
  show('all orders', await knex('orders').orderBy('id').select('id', 'deleted'));
  show('lines', await knex('lines').orderBy(['order_id', 'position']).select('order_id', 'position', knex.raw('deleted > 0 AS gone')));
  show('joined', await knex('users as u').join('orders as o', 'o.user_id', 'u.id').where({ 'u.deleted': false, 'o.deleted': 0 }).groupBy('u.email').orderBy('u.email')
    .select('u.email').count('* as n'));
  show('left-joined', await knex('users as u').leftJoin('orders as o', (on) => on.on('o.user_id', 'u.id').andOnVal('o.deleted', '<>', 0)).orderBy(['u.id', 'o.id']).select('u.email', 'o.number'));
  show('counts', [await knex('users').count('* as n').first(), await knex('users').select(knex.raw('count(*) FILTER (WHERE deleted)::int AS gone, bool_or(deleted) AS some')).first()]);
}

await knex('users').insert(['ann', 'bob', 'cid', 'dan'].map((name) => ({ email: `${name}@example.org` })));
await knex('orders').insert([1, 2, 3, 4].map((id) => ({ id, user_id: id, number: `n${id}` })));
await knex('lines').insert([1, 2, 3, 4].flatMap((id) => [1, 2].map((position) => ({ order_id: id, position, price: 10 * id }))));
await state();

// ------------------------------------------------------------------- deletes

show('a line', await knex('lines').where({ order_id: 1, position: 2 }).update({ deleted: now }));
show('lines, returning', await knex('lines').where({ order_id: 2 }).update({ deleted: now }, ['order_id', 'position']));
show('an order', await knex('orders').where({ id: 2 }).update({ deleted: 1 }).returning(['id', 'deleted']));
show('bob', await remove(knex, { id: 2 }));
await state();
show('bob again', [await remove(knex, { id: 2 }), await remove(knex, { id: 2, deleted: false })]);
show('by id', await knex('users').where({ id: 2 }).first('email', 'deleted'));
show('case', await knex('users').whereRaw("CASE WHEN deleted THEN 'gone' ELSE 'here' END = 'gone'").pluck('email'));
show('not in', await knex('users').whereNotIn('id', knex('orders').where('deleted', 1).select('user_id')).orderBy('id').pluck('email'));
show('exists', await knex('users').whereExists(knex('orders').whereRaw('user_id = users.id').andWhere('deleted', 1)).pluck('email'));
show('with', await knex.with('gone', knex('users').where('deleted', true)).from('gone').pluck('email'));
show('having', await knex('users').groupBy('deleted').having('deleted', '=', true).count('* as n'));
show('distinct on', await knex('users').distinctOn('deleted').orderBy(['deleted', 'id']).select('deleted', 'email'));
show('union', await knex('users').where('deleted', false).select('email').union(knex('users').where('deleted', true).select('email')).orderBy('email'));
show('logins of the deleted', await knex('users').where({ deleted: true }).increment('logins', 3));
show('logins of all', await knex('users').increment('logins', 1).returning('logins').then((rows) => rows.map(({ logins }) => logins).sort()));
show('toggled', await knex('users').where({ email: 'dan@example.org' }).whereNotExists(knex('orders').whereRaw('user_id = users.id').andWhere('deleted', 0)).update({ deleted: knex.raw('NOT deleted') }));

// --------------------------------------------------------------------- keys

await tryOut('unique key of a deleted user', (trx) => trx('users').insert({ email: 'bob@example.org' }, 'deleted'));
await tryOut('primary key of a deleted order', (trx) => trx('orders').insert({ id: 2, user_id: 1, number: 'x' }, 'id'));
await tryOut('foreign key to a deleted user', (trx) => trx('orders').insert({ id: 9, user_id: 2, number: 'x' }, 'id'));
await tryOut('foreign key of a live order', (trx) => remove(trx, { id: 1 }));
await tryOut('lines of a deleted order', async (trx) => {
  await trx('orders').where({ id: 3 }).update({ deleted: 1 });
  return trx('lines').where({ order_id: 3 }).whereNull('deleted').count('* as n').first();
});
await tryOut('upsert that meets a deleted user', (trx) => trx('users').insert({ email: 'bob@example.org', logins: 9 }).onConflict('email').merge(['logins']).returning(['logins', 'deleted']));
await tryOut('upsert that restores', async (trx) => {
  const rows = await trx('users').insert({ email: 'bob@example.org', deleted: false }).onConflict('email').merge().returning(['email', 'deleted']);
  return [rows, await users(trx).orderBy('email').pluck('email')];
});
await tryOut('really delete what is deleted', (trx) => trx('lines').where({ order_id: 2 }).del());
await tryOut('really delete', async (trx) => [await trx('lines').where({ order_id: 1 }).del(), await trx('lines').where({ order_id: 1 }).count('* as n').first()]);
await outcome('unique key of a live user', () => knex('users').insert({ email: 'ann@example.org' }));
show('upsert that deletes', await knex('users').insert({ email: 'eve@example.org' }).returning('id').then(() => knex('users').insert({ email: 'eve@example.org', deleted: true }).onConflict('email').merge(['deleted']).returning('deleted')));
show('inserted as deleted', await knex('users').insert({ email: 'fay@example.org', deleted: true }, ['email', 'deleted']));
show('old orders have the same number', [
  await knex('orders').insert([{ id: 5, user_id: 4, number: 'same' }, { id: 6, user_id: 4, number: 'other' }], 'id'),
  await knex('lines').where({ order_id: 4 }).update({ deleted: 1 }),
  await knex('orders').where({ id: 4 }).update({ deleted: 4, number: 'same' }),
  await knex('orders').where({ id: 5 }).update({ deleted: 5 }),
  await knex('orders').insert({ id: 7, user_id: 4, number: 'same' }, 'id'),
]);
await state();

// ------------------------------------------------------------------ restores

show('bob is back', await restore(knex, { id: 2 }));
show('his order', await knex('orders').where({ id: 2 }).whereNot({ deleted: 0 }).update({ deleted: 0 }));
show('its lines', await knex('lines').where({ order_id: 2 }).update({ deleted: null }));
show('restored twice', [await restore(knex, { id: 2 }), await restore(knex, { id: 2, deleted: true })]);
show('all that are deleted', await knex('users').where({ deleted: true }).update({ deleted: false, logins: 0 }, ['email', 'logins']).then((rows) => rows.sort((a, b) => (a.email < b.email ? -1 : 1))));
show('changes', await knex('changes').orderBy('at').pluck('line'));
await state();

// ------------------------------------------------------------- transactions

await outcome('a transaction that fails', () => knex.transaction(async (trx) => {
  show('all lines', await trx('lines').update({ deleted: now }));
  show('all orders', await trx('orders').update({ deleted: trx.ref('id') }));
  show('all users', await trx('users').where({ deleted: false }).update({ deleted: true }));
  show('seen', [await users(trx).count('* as n').first(), await trx('users').count('* as n').first()]);
  await trx('users').insert({ email: null });
}));
show('nothing happened', await users().count('* as n').first());
await knex.transaction(async (trx) => {
  const seen = [];
  for (let round = 1; round <= 3; round += 1) {
    seen.push(await remove(trx, { email: 'eve@example.org' }), await users(trx).count('* as n').first());
    await trx.transaction((inner) => restore(inner, { deleted: true }).then(() => inner.rollback())).catch(() => {});
    seen.push(await restore(trx, { email: 'eve@example.org' }), await users(trx).count('* as n').first());
  }
  show('to and fro', seen);
  show('locked', await users(trx).orderBy('id').forUpdate().pluck('id'));
});
show('swapped', await knex('users').whereIn('email', ['eve@example.org', 'fay@example.org']).update({ deleted: knex.raw("email = 'eve@example.org'") }));
show('from', await knex.raw('UPDATE lines SET deleted = 1 FROM orders WHERE orders.id = order_id AND orders.deleted = 4 AND lines.deleted IS NULL').then(({ rowCount }) => rowCount));
show('one by one', await knex('users').where({ email: 'eve@example.org' }).update({ deleted: false }));
await state();
await knex.destroy();
