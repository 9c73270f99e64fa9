// A score table on Drizzle: generated migrations, queries with relations, upserts and nested transactions.
// packages: nodejs
import { and, asc, count, eq, exists, gt, inArray, isNull, lt, max, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import * as schema from './drizzle_schema.mjs';
import { connection, fails, show } from './transcript.mjs';

const { best, games, gamesTags, players, scores, tags } = schema;
const pool = new pg.Pool({ ...connection, max: 3 });
const db = drizzle(pool, { schema });

await migrate(db, { migrationsFolder: './drizzle' });
await migrate(db, { migrationsFolder: './drizzle' });
show('migrated', (await db.execute(sql`SELECT id FROM drizzle.__drizzle_migrations ORDER BY id`)).rows);

// ----------------------------------------------------------------- fixtures

async function seed() {
  for (const table of [scores, gamesTags, tags, games, players]) show('cleared', (await db.delete(table)).rowCount);
  await db.insert(players).values([
    { id: 1, email: 'ann@example.org', name: 'Ann' }, { id: 2, email: 'bob@example.org', name: 'Bob', invitedBy: 1 }, { id: 3, email: 'cid@example.org', level: 'player', invitedBy: 1 }]);
  await db.insert(games).values([{ id: 1, title: 'Go', year: 2000 }, { id: 2, title: 'Chess', year: 2001, price: '9.50' }, { id: 3, title: 'Go', year: 2002 }]);
  await db.insert(scores).values([[1, 1, 10], [1, 2, 20], [2, 1, 30], [3, 2, 40]].map(([playerId, gameId, points], i) => ({ id: i + 1, playerId, gameId, points })));
  await db.insert(tags).values(['board', 'old', 'new'].map((name) => ({ name })));
  await db.insert(gamesTags).values([[1, 'board'], [1, 'old'], [2, 'board'], [3, 'new']].map(([gameId, tag]) => ({ gameId, tag })));
  for (const name of ['players', 'games', 'scores']) await db.execute(sql`SELECT setval(pg_get_serial_sequence(${name}, 'id'), 10)`);
}
await seed();
await seed(); // the same keys again

async function state() {
  show('players', await db.query.players.findMany({
    orderBy: asc(players.id),
    with: { inviter: { columns: { name: true } }, scores: { columns: { points: true }, orderBy: asc(scores.id), with: { game: { columns: { title: true } } } } },
  }));
  show('games', await db.query.games.findMany({ orderBy: asc(games.id), with: { tags: { columns: { tag: true }, orderBy: asc(gamesTags.tag) } } }));
  show('tags', await db.select().from(tags).leftJoin(gamesTags, eq(gamesTags.tag, tags.name)).orderBy(tags.name, gamesTags.gameId));
  show('best', await db.select().from(best).orderBy(best.title, best.points));
}
await state();

// ------------------------------------------------- counts, RETURNING, foreign keys

show('delete', (await db.delete(scores).where(eq(scores.id, 4))).rowCount);
show('delete again', (await db.delete(scores).where(eq(scores.id, 4))).rowCount);
show('delete, returning', await db.delete(scores).where(lt(scores.points, 20)).returning());
show('delete again, returning', await db.delete(scores).where(lt(scores.points, 20)).returning({ id: scores.id }));
show('update what is gone', (await db.update(scores).set({ points: 1 }).where(eq(scores.id, 4))).rowCount);
show('find what is gone', [await db.query.scores.findFirst({ where: eq(scores.id, 4) }), await db.$count(scores), await db.select({ n: count(), most: max(scores.points) }).from(scores)]);
show('who has scored', await db.select({ id: players.id }).from(players).where(exists(db.select().from(scores).where(eq(scores.playerId, players.id)))).orderBy(players.id));
await fails('restrict', () => db.delete(games).where(eq(games.id, 1)));
show('cascade and set null', await db.delete(players).where(eq(players.id, 1)).returning({ name: players.name }));
show('not invited any more', await db.$count(players, isNull(players.invitedBy)));
await fails('restricted still', () => db.delete(games).where(eq(games.id, 1)));
show('delete in a CTE', await db.with(db.$with('gone').as(db.delete(scores).where(eq(scores.gameId, 1)).returning({ id: scores.id }))).select().from(sql`gone`));
show('restrict no more', (await db.delete(games).where(eq(games.id, 1))).rowCount);
await fails('child of what is gone', () => db.insert(scores).values({ playerId: 1, gameId: 2, points: 1 }));
await fails('link of what is gone', () => db.insert(gamesTags).values({ gameId: 1, tag: 'new' }));
show('key of a parent', (await db.update(tags).set({ name: 'fresh' }).where(eq(tags.name, 'new')).returning())[0]);
await state();

// --------------------------------------------------------------------- keys

await fails('unique', () => db.insert(players).values({ email: 'bob@example.org' }));
await fails('unique index', () => db.insert(players).values({ email: 'x', name: 'BOB' }));
await fails('primary key', () => db.insert(players).values({ id: 2, email: 'x' }));
await fails('two columns', () => db.insert(games).values({ title: 'Go', year: 2002 }));
await fails('check', () => db.insert(games).values({ title: 'Dice', year: 1, price: '0' }));
show('free keys', await db.insert(players).values({ id: 1, email: 'ann@example.org', name: 'ANN' }).returning());
show('free keys', await db.insert(games).values([{ id: 1, title: 'Go', year: 2000 }]).returning({ id: games.id }));
await db.transaction(async (tx) => {
  for (const year of [2000, 1999, 2000]) {
    const gone = await tx.delete(games).where(eq(games.id, 1)).returning({ year: games.year });
    show('in one transaction', [gone, await tx.insert(games).values({ id: 1, title: 'Go', year }).returning({ year: games.year })]);
  }
});
// a list of links, written anew
for (const wanted of [['board', 'old'], ['old'], ['old', 'fresh'], []]) {
  await db.transaction(async (tx) => {
    const { rowCount } = await tx.delete(gamesTags).where(eq(gamesTags.gameId, 1));
    if (wanted.length) await tx.insert(gamesTags).values(wanted.map((tag) => ({ gameId: 1, tag })));
    show('links', [rowCount, (await tx.select().from(gamesTags).where(eq(gamesTags.gameId, 1)).orderBy(gamesTags.tag)).map(({ tag }) => tag)]);
  });
}

// ------------------------------------------------------------------- upserts

const upsert = db.insert(players).values({ email: 'eve@example.org', name: sql.placeholder('name') })
  .onConflictDoUpdate({ target: players.email, set: { name: sql`excluded.name`, version: sql`${players.version} + 1` } })
  .returning({ id: players.id, name: players.name, version: players.version }).prepare('upsert');
const remove = db.delete(players).where(eq(players.email, sql.placeholder('email'))).returning({ name: players.name }).prepare('remove');
for (const round of [1, 2, 3, 4, 5, 6, 7]) {
  show(`round ${round}: upsert`, await upsert.execute({ name: `Eve ${round}` }));
  show(`round ${round}: upsert again`, await upsert.execute({ name: `Eve ${round}+` }));
  show(`round ${round}: nothing`, (await db.insert(players).values({ email: 'eve@example.org' }).onConflictDoNothing().returning({ id: players.id })).length);
  show(`round ${round}: remove`, await remove.execute({ email: 'eve@example.org' }));
  show(`round ${round}: remove again`, await remove.execute({ email: 'eve@example.org' }));
}
show('by two columns', await db.insert(games).values([{ title: 'Go', year: 2002, price: '5' }, { title: 'Ludo', year: 1900 }])
  .onConflictDoUpdate({ target: [games.title, games.year], set: { price: sql`excluded.price` }, setWhere: isNull(games.price) }).returning({ title: games.title, price: games.price }));
show('by primary key', await db.insert(tags).values([{ name: 'old' }, { name: 'new' }]).onConflictDoNothing({ target: tags.name }).returning());
show('insert from a query', await db.insert(gamesTags).select(db.select({ gameId: games.id, tag: sql`'new'`.as('tag') }).from(games)).onConflictDoNothing().returning());

// ------------------------------------------------- transactions, optimistic locks

const save = async (id, version, name) => (await db.update(players).set({ name, version: version + 1 }).where(and(eq(players.id, id), eq(players.version, version))).returning({ version: players.version }));
show('optimistic', [await save(2, 1, 'Robert'), await save(2, 1, 'Bert')]);
show('optimistic, gone', [(await db.delete(players).where(and(eq(players.id, 2), eq(players.version, 1)))).rowCount, (await db.delete(players).where(and(eq(players.id, 2), eq(players.version, 2)))).rowCount, await save(2, 2, 'Bert')]);
await fails('rolled back', () => db.transaction(async (tx) => {
  show('inside', [(await tx.delete(players)).rowCount, await tx.$count(scores)]);
  tx.rollback();
}));
show('as before', [await db.$count(players), await db.$count(scores)]);
await db.transaction(async (tx) => {
  await tx.delete(tags).where(eq(tags.name, 'old'));
  await fails('a savepoint', () => tx.transaction(async (inner) => {
    await inner.insert(tags).values({ name: 'old' });
    await inner.delete(tags).where(eq(tags.name, 'new'));
    await inner.insert(tags).values({ name: 'old' });
  }));
  show('after it', await tx.select().from(tags).orderBy(tags.name));
  await tx.insert(tags).values({ name: 'old' });
}, { isolationLevel: 'repeatable read' });
await db.transaction(async (tx) => {
  show('locked', await tx.select({ id: games.id }).from(games).where(gt(games.id, 1)).orderBy(games.id).limit(1).for('update'));
  show('skipped', await db.select({ id: games.id }).from(games).where(inArray(games.id, [1, 2, 3])).orderBy(games.id).for('update', { skipLocked: true }));
});
const [left, right] = await Promise.all([1, 2].map(() => db.delete(games).where(eq(games.title, 'Ludo'))));
show('deleted twice at a time', left.rowCount + right.rowCount);
show('union', await db.select({ name: tags.name }).from(tags).union(db.select({ name: games.title }).from(games)).orderBy(sql`1`));
await state();
show('delete all', [(await db.delete(players)).rowCount, await db.$count(scores)]);

await pool.end();
