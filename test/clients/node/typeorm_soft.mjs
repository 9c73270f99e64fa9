// TypeORM with a delete-date column: softRemove, softDelete, restore, recover, withDeleted, cascades, the query
// builder, upserts.  It deletes softly by itself, by a time.
// packages: nodejs
// bridge: deletedAt
import { DataSource, EntitySchema, In, IsNull, Not } from 'typeorm';
import { connection, outcome, show } from './transcript.mjs';

const { user: username, ...server } = connection;

const id = { type: 'int', primary: true, generated: 'identity', generatedIdentity: 'BY DEFAULT' };
const deletedAt = { name: 'deletedAt', type: 'timestamp', deleteDate: true };

const Writer = new EntitySchema({
  name: 'Writer',
  columns: { id, email: { type: String, unique: true }, name: { type: String, nullable: true }, version: { type: Number, version: true }, deletedAt },
  relations: { articles: { type: 'one-to-many', target: 'Article', inverseSide: 'writer', cascade: ['insert', 'soft-remove', 'recover'] } },
});
const Article = new EntitySchema({
  name: 'Article',
  columns: { id, slug: { type: String }, title: { type: String, default: '' }, deletedAt: { ...deletedAt, type: 'timestamptz', precision: 3 } },
  relations: { writer: { type: 'many-to-one', target: 'Writer', inverseSide: 'articles', nullable: true, deferrable: 'INITIALLY DEFERRED' } },
  indices: [{ name: 'one_slug', columns: ['slug'], unique: true, where: '"deletedAt" IS NULL' }],
});
const Draft = new EntitySchema({
  name: 'Draft',
  columns: { id, text: { type: String }, deletedAt },
  relations: { article: { type: 'many-to-one', target: 'Article', nullable: false, onDelete: 'CASCADE' } },
});
const Prize = new EntitySchema({
  name: 'Prize',
  columns: { id },
  relations: { writer: { type: 'many-to-one', target: 'Writer' } },
});
const Log = new EntitySchema({ name: 'Log', columns: { id, line: { type: String } } });

const db = new DataSource({ type: 'postgres', username, ...server, entities: [Writer, Article, Draft, Prize, Log] });
await db.initialize();
await db.synchronize();
const [writers, articles, drafts, logs] = ['Writer', 'Article', 'Draft', 'Log'].map((name) => db.getRepository(name));

const name = (row, column) => row && (row.deletedAt === null ? row[column] : `(${row[column]})`);
const names = (rows, column) => rows.map((row) => name(row, column));

/** What may differ with a bridge, and so is rolled back. */
const tryOut = (label, work) => outcome(label, async () => {
  const runner = db.createQueryRunner();
  await runner.startTransaction();
  try {
    return await work(runner.manager);
  } finally {
    await runner.rollbackTransaction();
    await runner.release();
  }
});

async function state() {
  const order = { id: 'ASC' };
  show('writers', names(await writers.find({ order }), 'name'));
  show('all writers', names(await writers.find({ order, withDeleted: true }), 'name'));
  show('deleted writers', names(await writers.find({ order, withDeleted: true, where: { deletedAt: Not(IsNull()) } }), 'name'));
  show('articles', names(await articles.find({ order }), 'slug'));
  show('all articles', names(await articles.find({ order, withDeleted: true }), 'slug'));
  show('writers with articles', (await writers.find({ relations: { articles: true }, order: { id: 'ASC', articles: { id: 'ASC' } } }))
    .map((writer) => [name(writer, 'name'), names(writer.articles, 'slug')]));
  show('all writers with all articles', (await writers.find({ withDeleted: true, relations: { articles: true }, order: { id: 'ASC', articles: { id: 'ASC' } } }))
    .map((writer) => [name(writer, 'name'), names(writer.articles, 'slug')]));
  show('counts', [await writers.count(), await writers.count({ withDeleted: true }), await articles.count(), await drafts.count()]);
}

await writers.save(['ann', 'bob', 'cid'].map((who) => ({ name: who, email: `${who}@example.org`, articles: [1, 2].map((n) => ({ slug: `${who}-${n}`, title: `by ${who}` })) })));
await drafts.insert([{ text: 'draft', article: { id: 1 } }, { text: 'another', article: { id: 5 } }]);
await state();

// ----------------------------------------------- softRemove, of rows and what belongs to them

let bob = await writers.findOne({ where: { name: 'bob' }, relations: { articles: true } });
bob = await writers.softRemove(bob);
show('soft-removed', [bob.deletedAt instanceof Date, bob.version, bob.articles.map(({ deletedAt: time }) => time instanceof Date)]);
await state();
show('find one', [await writers.findOneBy({ name: 'bob' }), name(await writers.findOne({ where: { name: 'bob' }, withDeleted: true }), 'name')]);
show('exists', [await writers.existsBy({ name: 'bob' }), await writers.exists({ where: { name: 'bob' }, withDeleted: true })]);
show('update of what is deleted', (await writers.update({ name: 'bob' }, { name: 'Bob' })).affected);
show('save of what is deleted', name(await writers.save({ id: bob.id, name: 'bob' }), 'name'));
show('soft-delete again', (await writers.softDelete(bob.id)).affected);
show('soft-delete by values', (await articles.softDelete({ slug: In(['ann-1', 'none']) })).affected);
show('its drafts', names(await drafts.find({ order: { id: 'ASC' }, withDeleted: true }), 'text'));
show('its drafts, soft-deleted', [(await drafts.softDelete({ text: 'draft' })).affected, await drafts.count()]);
show('a join', await writers.createQueryBuilder('w').innerJoin('w.articles', 'a').select(['w.name AS name', 'count(*)::int AS n']).groupBy('w.name').orderBy('w.name').getRawMany());
show('a join of all', await writers.createQueryBuilder('w').withDeleted().innerJoin('w.articles', 'a').select(['w.name AS name', 'count(*)::int AS n']).groupBy('w.name').orderBy('w.name').getRawMany());
show('by time', names(await writers.createQueryBuilder('w').withDeleted().where('w.deletedAt > now()::timestamp - interval \'1 hour\'').getMany(), 'name'));
show('sub-query', names(await articles.createQueryBuilder('a').withDeleted().where((of) => `a."writerId" IN ${of.subQuery().select('w.id').from('Writer', 'w').withDeleted().where('w.deletedAt IS NOT NULL').getQuery()}`)
  .orderBy('a.id').getMany(), 'slug'));
await state();

// --------------------------------------------------------------------- keys

await tryOut('unique key of a deleted writer', (manager) => manager.save(Writer, { email: 'bob@example.org', name: 'new bob' }).then((row) => row.name));
await tryOut('primary key of a deleted writer', (manager) => manager.insert(Writer, { id: bob.id, email: 'x', name: 'x' }).then(({ identifiers }) => identifiers));
await tryOut('upsert by the key of a deleted writer', async (manager) => {
  await manager.upsert(Writer, { email: 'bob@example.org', name: 'upserted bob' }, ['email']);
  return names(await manager.find(Writer, { withDeleted: true, order: { id: 'ASC' } }), 'name');
});
await tryOut('foreign key to a deleted article', (manager) => manager.insert(Draft, { text: 'late', article: { id: 1 } }).then(({ identifiers }) => identifiers.length));
await tryOut('foreign key of a live prize', async (manager) => {
  await manager.insert(Prize, { writer: { id: 1 } });
  return (await manager.softDelete(Writer, 1)).affected;
});
await outcome('partial unique key of a deleted article', () => articles.insert({ slug: 'ann-1' }).then(({ identifiers }) => identifiers));
await outcome('unique key of a live writer', () => writers.insert({ email: 'ann@example.org' }));
await outcome('restore where a live row has the key', () => articles.restore({ id: 1 }));
show('soft-delete the other', (await articles.softDelete({ slug: 'ann-1' })).affected);

// ------------------------------------------------------------------ restore

show('restore', (await writers.restore(bob.id)).affected);
show('restore what is live', (await writers.restore(bob.id)).affected);
show('restore articles', (await articles.restore({ writer: { id: bob.id } })).affected);
show('restore one of two', (await articles.restore(1)).affected);
show('restore its drafts', [(await drafts.restore({ text: 'draft' })).affected, await drafts.count()]);
await state();
const cid = await writers.findOne({ where: { name: 'cid' }, relations: { articles: true } });
await writers.softRemove(cid);
const gone = await writers.findOne({ where: { name: 'cid' }, relations: { articles: true }, withDeleted: true });
show('to recover', [name(gone, 'name'), names(gone.articles, 'slug').sort()]);
await writers.recover(gone);
show('recovered', [name(gone, 'name'), names(gone.articles, 'slug').sort(), gone.version]);
show('by the builder', [
  (await articles.createQueryBuilder().softDelete().where('"writerId" IS NOT NULL').execute()).affected,
  (await writers.createQueryBuilder().softDelete().where('name LIKE :name', { name: '%d' }).returning(['id']).execute()).raw,
  (await writers.createQueryBuilder().restore().where('name LIKE :name', { name: '%d' }).returning(['id']).execute()).raw,
  (await articles.createQueryBuilder().restore().where('"writerId" IS NOT NULL').execute()).affected,
]);
await state();

// ------------------------------------------------- transactions

await outcome('a transaction that fails', () => db.transaction(async (manager) => {
  show('in it', [(await manager.softDelete(Writer, { name: Not('ann') })).affected, await manager.count(Writer), await manager.count(Writer, { withDeleted: true })]);
  await manager.insert(Writer, { email: 'ann@example.org' });
}));
show('nothing happened', await writers.count());
await db.transaction(async (manager) => {
  const seen = [];
  for (let round = 1; round <= 3; round += 1) {
    seen.push((await manager.softDelete(Writer, { name: 'bob' })).affected, await manager.count(Writer));
    seen.push((await manager.restore(Writer, { name: 'bob' })).affected, await manager.count(Writer));
  }
  show('to and fro', seen);
  show('locked', names(await manager.find(Writer, { lock: { mode: 'pessimistic_write' }, order: { id: 'ASC' } }), 'name'));
});

// ------------------------------------------------------- really remove

show('removed', name(await writers.remove(await writers.save({ email: 'x@example.org', name: 'x' })), 'name'));
show('what was removed', names(await writers.find({ where: { name: 'x' }, withDeleted: true }), 'name'));
show('deleted, and no more', [(await drafts.delete({ text: 'another' })).affected, (await drafts.delete({ text: 'another' })).affected]);
show('without the column', [(await logs.insert({ line: '?' })).identifiers.length, (await logs.delete({ line: '?' })).affected, await logs.count()]);
await state();
await db.destroy();
