// A newsroom on TypeORM: entities without decorators, cascades, upserts, versions, trees and rewritten join tables.
// packages: nodejs
import { DataSource, EntitySchema, In, IsNull, Like } from 'typeorm';
import { connection, fails, show, sorted } from './transcript.mjs';

const { user: username, ...server } = connection;

const id = { type: 'int', primary: true, generated: 'identity', generatedIdentity: 'BY DEFAULT' };

const Writer = new EntitySchema({
  name: 'Writer',
  columns: { id, email: { type: String, unique: true }, name: { type: String, nullable: true }, version: { type: Number, version: true } },
  relations: {
    desk: { type: 'one-to-one', target: 'Desk', inverseSide: 'writer', cascade: true },
    articles: { type: 'one-to-many', target: 'Article', inverseSide: 'writer', cascade: true },
  },
});
const Desk = new EntitySchema({
  name: 'Desk',
  columns: { id, place: { type: String } },
  relations: { writer: { type: 'one-to-one', target: 'Writer', inverseSide: 'desk', joinColumn: true, nullable: false, onDelete: 'CASCADE' } },
});
const Article = new EntitySchema({
  name: 'Article',
  columns: {
    id, slug: { type: String, unique: true }, title: { type: String, default: '' },
    issue: { type: 'int', nullable: true }, page: { type: 'int', nullable: true }, meta: { type: 'jsonb', nullable: true },
  },
  relations: {
    writer: { type: 'many-to-one', target: 'Writer', inverseSide: 'articles', onDelete: 'CASCADE', orphanedRowAction: 'delete' },
    section: { type: 'many-to-one', target: 'Section', onDelete: 'SET NULL', nullable: true },
    topics: { type: 'many-to-many', target: 'Topic', inverseSide: 'articles', joinTable: { name: 'article_topics' }, cascade: ['insert'] },
  },
  uniques: [{ name: 'one_page', columns: ['issue', 'page'] }],
  indices: [{ name: 'by_title', columns: ['title'] }],
});
const Topic = new EntitySchema({
  name: 'Topic',
  columns: { id, name: { type: String } },
  relations: { articles: { type: 'many-to-many', target: 'Article', inverseSide: 'topics' } },
  indices: [{ name: 'one_name', columns: ['name'], unique: true }],
});
const Section = new EntitySchema({
  name: 'Section',
  columns: { code: { type: String, primary: true }, price: { type: 'numeric', precision: 8, scale: 2, default: 0 } },
  relations: {
    parent: { type: 'many-to-one', target: 'Section', inverseSide: 'children', treeParent: true, onDelete: 'CASCADE' },
    children: { type: 'one-to-many', target: 'Section', inverseSide: 'parent', treeChildren: true },
  },
  trees: [{ type: 'closure-table', closureTableName: 'section' }],
});
const Invoice = new EntitySchema({
  name: 'Invoice',
  columns: { id: { ...id, type: 'bigint' }, amount: { type: 'int' } },
  relations: { section: { type: 'many-to-one', target: 'Section', nullable: false, onDelete: 'RESTRICT' } },
  checks: [{ name: 'positive', expression: 'amount > 0' }],
});

class AddNotes1700000000000 {
  name = 'AddNotes1700000000000';

  async up(runner) {
    await runner.query('CREATE TABLE "note" ("article_id" integer REFERENCES "article" ("id") ON DELETE CASCADE, "line" integer, "text" text, PRIMARY KEY ("article_id", "line"))');
    await runner.query('ALTER TABLE "writer" ADD "phone" character varying, ADD CONSTRAINT "one_phone" UNIQUE ("phone")');
  }

  async down(runner) {
    await runner.query('ALTER TABLE "writer" DROP CONSTRAINT "one_phone"');
    await runner.query('ALTER TABLE "writer" DROP COLUMN "phone"');
    await runner.query('DROP TABLE "note"');
  }
}

const db = new DataSource({
  type: 'postgres', username, ...server,
  entities: [Writer, Desk, Article, Topic, Section, Invoice], migrations: [AddNotes1700000000000], migrationsTableName: 'changes',
});
await db.initialize();
await db.synchronize();
const [writers, desks, articles, topics, sections, invoices] =
  ['Writer', 'Desk', 'Article', 'Topic', 'Section', 'Invoice'].map((name) => db.getRepository(name));

show('migrations', (await db.runMigrations()).map(({ name }) => name));
await db.query("INSERT INTO writer (id, email, phone, version) VALUES (1, 'old@example.org', '1', 1)");
show('old writer', (await writers.delete(1)).affected);
await db.undoLastMigration();
show('once more', (await db.runMigrations()).map(({ name }) => name));

// ----------------------------------------------------------------- fixtures

async function seed() {
  for (const repository of [invoices, articles, writers, topics]) show('cleared', (await repository.createQueryBuilder().delete().execute()).affected);
  await writers.insert([{ id: 1, email: 'ann@example.org', name: 'Ann' }, { id: 2, email: 'bob@example.org', name: 'Bob' }]);
  await topics.insert([1, 2, 3].map((n) => ({ id: n, name: `topic ${n}` })));
  await articles.insert([1, 2, 3].map((n) => ({ id: n, slug: `a${n}`, title: `Title ${n}`, issue: 1, page: n, writer: { id: n === 3 ? 2 : 1 } })));
  await desks.insert({ id: 1, place: 'attic', writer: { id: 1 } });
  for (const table of ['writer', 'desk', 'article', 'topic', 'invoice']) await db.query(`SELECT setval('${table}_id_seq', 10)`);
}
await seed();
await seed(); // the same ids again

const root = await sections.save({ code: 'all' });
const news = await sections.save({ code: 'news', parent: root });
await sections.save({ code: 'sports', parent: news });
await sections.save({ code: 'arts', parent: root });

/** The tree of sections; who finds it asks for no order. */
async function tree() {
  const inOrder = ({ children, ...section }) => ({ ...section, children: sorted(children.map(inOrder)) });
  return sorted((await db.getTreeRepository('Section').findTrees()).map(inOrder));
}

async function state() {
  show('writers', await writers.find({ relations: { desk: true, articles: true }, select: { articles: { slug: true, page: true } }, order: { id: 'ASC', articles: { id: 'ASC' } } }));
  show('articles', await articles.find({ select: { id: true, slug: true, title: true }, relations: { topics: true, section: true }, order: { id: 'ASC', topics: { id: 'ASC' } } }));
  show('topics', await topics.find({ relations: { articles: true }, select: { articles: { slug: true } }, order: { id: 'ASC', articles: { id: 'ASC' } } }));
  show('sections', await tree());
}
await state();

// ------------------------------------------------------------ many to many

const [one, two, three] = await topics.find({ order: { id: 'ASC' } });
for (const wanted of [[one, two], [two], [two, three], [], [one, two, three]]) {
  const article = await articles.findOne({ where: { id: 1 }, relations: { topics: true } });
  article.topics = wanted;
  await articles.save(article);
  show('rewritten', (await articles.findOne({ where: { id: 1 }, relations: { topics: true }, order: { topics: { id: 'ASC' } } })).topics.map(({ name }) => name));
}
const links = () => articles.createQueryBuilder().relation('topics').of(1);
await links().remove(2);
await links().add(2);
await fails('linked twice', () => links().add(2));
await links().addAndRemove([], [1, 3]);
show('links', await db.query('SELECT "articleId", "topicId" FROM article_topics ORDER BY 1, 2'));
show('remove a topic', (await topics.remove(two)).id);
show('links', await db.query('SELECT "articleId", "topicId" FROM article_topics ORDER BY 1, 2'));
await articles.save({ id: 2, topics: [{ name: 'topic 2' }, { id: 1 }] });
show('links, one of them new', await db.query('SELECT "articleId", "topicId" FROM article_topics ORDER BY 1, 2'));

// ---------------------------------------------------- counts, cascades, orphans

show('delete', await articles.delete({ slug: 'a3' }));
show('delete again', await articles.delete({ slug: 'a3' }));
show('update what is gone', (await articles.update({ slug: 'a3' }, { title: 'x' })).affected);
show('find what is gone', [await articles.findOneBy({ id: 3 }), await articles.existsBy({ id: 3 }), await articles.countBy({ id: In([1, 2, 3]) })]);
await fails('find or fail', () => articles.findOneByOrFail({ id: 3 }));
const builder = articles.createQueryBuilder().delete().where('id = :id', { id: 2 }).returning(['id', 'slug']);
show('delete, returning', await builder.execute());
show('delete again, returning', await builder.execute());
await articles.save([{ id: 2, slug: 'a2', writer: { id: 1 } }, { id: 3, slug: 'a3', writer: { id: 2 } }]);
const ann = await writers.findOne({ where: { id: 1 }, relations: { articles: true, desk: true } });
ann.articles = ann.articles.filter(({ slug }) => slug !== 'a2');
ann.articles.push(articles.create({ slug: 'a4', issue: 2, page: 1 }));
await writers.save(ann);
show('an orphan is gone', (await articles.find({ order: { id: 'ASC' } })).map(({ slug }) => slug));
await db.query("INSERT INTO note VALUES (1, 1, 'x'), (1, 2, 'y')");
await invoices.insert({ amount: 5, section: { code: 'sports' } });
await fails('restrict, through a tree', () => sections.delete('news'));
show('restrict no more', [(await invoices.delete({ section: { code: 'sports' } })).affected, (await sections.delete('news')).affected]);
show('tree', [await tree(), await db.query('SELECT code_ancestor, code_descendant FROM section_closure ORDER BY 1, 2')]);
await sections.save({ code: 'news', parent: root, price: 3 });
await sections.save({ code: 'sports', parent: { code: 'news' } });
await articles.update({ id: 1 }, { section: { code: 'sports' } });
show('set null', (await sections.delete('sports')).affected);
show('without a section', await articles.countBy({ section: IsNull() }));
show('remove by cascade', (await writers.remove(ann)).email);
show('what it took', [await articles.count(), await desks.count(), await db.query('SELECT count(*) FROM note'), await db.query('SELECT count(*) FROM article_topics')]);
await fails('child of what is gone', () => articles.insert({ slug: 'a9', writer: { id: 1 } }));
await fails('check', () => invoices.insert({ amount: 0, section: { code: 'arts' } }));
await state();

// --------------------------------------------------------------------- keys

await fails('unique', () => writers.insert({ email: 'bob@example.org' }));
await fails('unique index', () => topics.insert({ name: 'topic 1' }));
await fails('primary key', () => writers.insert({ id: 2, email: 'x' }));
await articles.insert({ id: 5, slug: 'a5', issue: 1, page: 9 });
await fails('two columns', () => articles.insert({ slug: 'a6', issue: 1, page: 9 }));
await fails('many to one', () => articles.insert({ slug: 'a6', section: { code: 'nowhere' } }));
show('free keys', await writers.save({ id: 1, email: 'ann@example.org', desk: { place: 'cellar' }, articles: [{ slug: 'a1' }, { slug: 'a2', topics: [{ id: 3 }, { name: 'topic 4' }] }] }));
await db.transaction(async (manager) => {
  for (const slug of ['a1', 'a7', 'a1']) {
    const gone = await manager.delete('Article', { id: 5 });
    await manager.delete('Article', { slug });
    show('in one transaction', [gone.affected, (await manager.insert('Article', { id: 5, slug, issue: 1, page: 9 })).identifiers]);
  }
});
const swapped = await articles.findBy({ slug: In(['a1', 'a2']) });
await articles.remove(swapped);
await articles.save(swapped.map(({ slug }) => ({ slug, title: 'anew' })));
show('removed and made anew', (await articles.find({ where: { title: 'anew' }, order: { slug: 'ASC' } })).map(({ slug }) => slug));

// ------------------------------------------------------------------- upserts

for (const round of [1, 2, 3]) {
  const upsert = async (name) => (await writers.upsert({ email: 'cid@example.org', name }, ['email'])).generatedMaps;
  show(`round ${round}: upsert`, await upsert(`Cid ${round}`));
  show(`round ${round}: upsert again`, await upsert(`Cid ${round}+`));
  show(`round ${round}: or ignore`, (await writers.createQueryBuilder().insert().values({ email: 'cid@example.org' }).orIgnore().execute()).raw);
  show(`round ${round}: or update`, (await writers.createQueryBuilder().insert().values({ email: 'cid@example.org', name: 'or' }).orUpdate(['name'], ['email']).returning(['name']).execute()).raw);
  const cid = await writers.findOneBy({ email: Like('cid%') });
  show(`round ${round}: found`, cid);
  show(`round ${round}: delete`, (await writers.delete({ email: cid.email })).affected);
}
show('several', (await articles.upsert([{ slug: 'a1', title: 'one' }, { slug: 'a8', title: 'eight' }], { conflictPaths: ['slug'], skipUpdateIfNoValuesChanged: true })).identifiers);
show('by constraint of two columns', (await articles.upsert({ slug: 'a10', issue: 1, page: 9, title: 'nine' }, ['issue', 'page'])).identifiers);
show('by primary key', (await sections.upsert([{ code: 'sports', price: 9 }, { code: 'arts', price: 8 }], ['code'])).identifiers);
show('prices', await sections.find({ order: { code: 'ASC' } }));

// ------------------------------------------------- transactions, versions, locks

const mine = await writers.findOneBy({ id: 1 });
mine.name = 'Anne';
show('version', (await writers.save(mine)).version);
const locked = (version) => db.transaction((manager) => manager.findOne('Writer', { where: { id: 1 }, lock: { mode: 'optimistic', version } }));
await fails('optimistic lock', () => locked(1));
show('optimistic lock', (await locked(2)).name);
await writers.delete(1);
show('optimistic lock, gone', await locked(2));
mine.name = 'Annie';
// what save() does not find it inserts
show('saved anew', await writers.save(mine));
show('pessimistic lock', await db.transaction((manager) => manager.find('Writer', { where: { id: In([1, 2]) }, order: { id: 'ASC' }, lock: { mode: 'pessimistic_write' }, select: { id: true } })));

await fails('rolled back', () => db.transaction(async (manager) => {
  show('inside', [(await manager.createQueryBuilder().delete().from('Writer').execute()).affected, await manager.count('Article')]);
  await manager.insert('Writer', [{ email: 'x' }, { email: 'x' }]);
}));
await db.transaction(async (manager) => {
  await manager.delete('Topic', { id: 1 });
  await fails('a savepoint', () => manager.transaction(async (inner) => {
    await inner.insert('Topic', { id: 1, name: 'inner' });
    await inner.delete('Topic', { id: 3 });
    await inner.insert('Topic', { name: 'inner' });
  }));
  show('after it', (await manager.find('Topic', { order: { id: 'ASC' } })).map((topic) => topic.id));
  await manager.insert('Topic', { id: 1, name: 'topic 1' });
});
await state();
show('joined', sorted(await articles.createQueryBuilder('a').leftJoin('a.writer', 'w').leftJoin('a.topics', 't')
  .select(['a.slug AS slug', 'w.email AS email']).addSelect('count(t.id)', 'topics').groupBy('a.id').addGroupBy('w.id').getRawMany()));
await db.query('TRUNCATE note');
await fails('clear', () => topics.clear());
await desks.clear();
show('cleared', await desks.count());
show('delete all', [(await writers.createQueryBuilder().delete().execute()).affected, await articles.count()]);

await db.destroy();
