// drizzle-kit push: the statements that it finds necessary as a schema changes, with rows deleted in between.
// packages: nodejs
// storages: aside
import { createRequire } from 'node:module';
import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { check, index, integer, pgTable, serial, text, unique, uniqueIndex, varchar } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { connection, show } from './transcript.mjs';

const { pushSchema } = createRequire(import.meta.url)('drizzle-kit/api');
const pool = new pg.Pool({ ...connection, max: 1 });
const db = drizzle(pool);
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (text, ...more) => (/Pulling schema/.test(text) ? true : write(text, ...more)); // its progress

function schema(version) {
  const teams = pgTable('teams', {
    id: serial('id').primaryKey(),
    name: varchar('name', { length: version < 2 ? 40 : 80 }).notNull(),
    ...(version > 1 ? { motto: version < 3 ? text('motto').default('on') : text('motto').default('on').notNull() } : {}),
  }, (t) => [unique('one_team').on(t.name), ...(version > 2 ? [check('named', sql`name <> ''`)] : [])]);
  const players = pgTable('players', {
    id: integer('id').primaryKey(),
    teamId: integer('team_id').notNull().references(() => teams.id, { onDelete: version < 3 ? 'cascade' : 'restrict' }),
    shirt: integer('shirt').default(version),
  }, (t) => [uniqueIndex('one_shirt').on(t.teamId, t.shirt), ...(version > 1 ? [index('by_shirt').on(t.shirt)] : [])]);
  const friends = pgTable('friends', {
    id: serial('id').primaryKey(),
    one: integer('one').notNull().references(() => players.id, { onDelete: 'cascade' }),
    other: integer('other').notNull().references(() => players.id, { onDelete: 'cascade' }),
  }, (t) => [unique('friendship').on(t.one, t.other)]);
  return version === 2 ? { teams, players, friends } : { teams, players };
}

for (const version of [1, 1, 2, 2, 3]) {
  const { hasDataLoss, warnings, statementsToExecute, apply } = await pushSchema(schema(version), db, ['public']);
  // in whatever order the catalog has the tables
  show(`version ${version}`, { hasDataLoss, warnings, statementsToExecute: [...statementsToExecute].sort() });
  await apply();
  show('left to do', (await pushSchema(schema(version), db, ['public'])).statementsToExecute);
  const run = async (query) => show(query, (await pool.query(query)).rowCount);
  await run('DELETE FROM players');
  await run('DELETE FROM teams');
  await run("INSERT INTO teams (id, name) SELECT g, 't' || g FROM generate_series(1, 3) AS g");
  await run('INSERT INTO players SELECT g, 1 + g % 3, g FROM generate_series(1, 6) AS g');
  if (version === 2) await run('INSERT INTO friends (one, other) SELECT 1, id FROM players');
  await run('DELETE FROM players WHERE id IN (1, 4)');
  await run('DELETE FROM teams WHERE id = 2');
  await run("INSERT INTO teams (id, name) VALUES (2, 't2')");
}
await pool.end();
