// The tables of drizzle.mjs.  drizzle-kit has made drizzle/*.sql of them, as a project does once per change.
import { relations, sql } from 'drizzle-orm';
import { check, foreignKey, index, integer, jsonb, numeric, pgEnum, pgTable, pgView, primaryKey, serial, text, unique, uniqueIndex } from 'drizzle-orm/pg-core';

export const level = pgEnum('level', ['guest', 'player']);

export const players = pgTable('players', {
  id: integer().primaryKey().generatedByDefaultAsIdentity(),
  email: text().notNull().unique(),
  name: text(),
  level: level().notNull().default('guest'),
  invitedBy: integer('invited_by'),
  version: integer().notNull().default(1),
}, (t) => [
  foreignKey({ columns: [t.invitedBy], foreignColumns: [t.id], name: 'inviter' }).onDelete('set null'),
  uniqueIndex('one_name').on(sql`lower(${t.name})`),
]);

export const games = pgTable('games', {
  id: serial().primaryKey(),
  title: text().notNull(),
  year: integer().notNull(),
  price: numeric({ precision: 8, scale: 2 }),
}, (t) => [unique('one_edition').on(t.title, t.year).nullsNotDistinct(), check('not_free', sql`price > 0`)]);

export const scores = pgTable('scores', {
  id: serial().primaryKey(),
  playerId: integer('player_id').notNull().references(() => players.id, { onDelete: 'cascade' }),
  gameId: integer('game_id').notNull().references(() => games.id, { onDelete: 'restrict' }),
  points: integer().notNull(),
  details: jsonb(),
}, (t) => [index('by_player').on(t.playerId)]);

export const tags = pgTable('tags', { name: text().primaryKey() });

export const gamesTags = pgTable('games_tags', {
  gameId: integer('game_id').notNull().references(() => games.id, { onDelete: 'cascade' }),
  tag: text().notNull().references(() => tags.name, { onDelete: 'cascade', onUpdate: 'cascade' }),
}, (t) => [primaryKey({ columns: [t.gameId, t.tag] })]);

export const best = pgView('best').as((qb) => qb.select({ title: games.title, points: sql`max(${scores.points})`.as('points') })
  .from(games).leftJoin(scores, sql`${scores.gameId} = ${games.id}`).groupBy(games.id));

export const playersRelations = relations(players, ({ many, one }) => ({
  scores: many(scores),
  inviter: one(players, { fields: [players.invitedBy], references: [players.id] }),
}));
export const scoresRelations = relations(scores, ({ one }) => ({
  player: one(players, { fields: [scores.playerId], references: [players.id] }),
  game: one(games, { fields: [scores.gameId], references: [games.id] }),
}));
export const gamesRelations = relations(games, ({ many }) => ({ scores: many(scores), tags: many(gamesTags) }));
export const gamesTagsRelations = relations(gamesTags, ({ one }) => ({
  game: one(games, { fields: [gamesTags.gameId], references: [games.id] }),
  tag: one(tags, { fields: [gamesTags.tag], references: [tags.name] }),
}));
