// Objection with objection-js-soft-delete: delete, undelete, hardDelete, whereDeleted, relations and graphs.  It
// deletes softly by itself, by a status.
// packages: nodejs
// bridge: state=gone
import knexOf from 'knex';
import { Model, transaction } from 'objection';
import plugin from 'objection-js-soft-delete';
import { connection, outcome, show } from './transcript.mjs';

const knex = knexOf({ client: 'pg', connection });
Model.knex(knex);

for (const [table, parent] of [['artists'], ['albums', 'artists'], ['songs', 'albums'], ['plays', 'songs']]) {
  await knex.schema.createTable(table, (t) => {
    t.increments('id');
    t.string('name').notNullable().unique();
    if (parent) t.integer('parent').references(`${parent}.id`).onDelete(table === 'songs' ? 'CASCADE' : 'NO ACTION');
    if (table !== 'plays') t.string('state', 10).notNullable().defaultTo('here');
  });
}

const softDelete = (plugin.default ?? plugin)({ columnName: 'state', deletedValue: 'gone', notDeletedValue: 'here' });
class Artist extends softDelete(Model) {
  static tableName = 'artists';

  static relationMappings = () => ({
    albums: { relation: Model.HasManyRelation, modelClass: Album, join: { from: 'artists.id', to: 'albums.parent' }, filter: (q) => q.whereNotDeleted() },
    allAlbums: { relation: Model.HasManyRelation, modelClass: Album, join: { from: 'artists.id', to: 'albums.parent' } },
  });
}
class Album extends softDelete(Model) {
  static tableName = 'albums';

  static relationMappings = () => ({
    artist: { relation: Model.BelongsToOneRelation, modelClass: Artist, join: { from: 'albums.parent', to: 'artists.id' } },
    songs: { relation: Model.HasManyRelation, modelClass: Song, join: { from: 'albums.id', to: 'songs.parent' } },
  });

  async $beforeUpdate(options, context) {
    await super.$beforeUpdate(options, context);
    if (context.softDelete || context.undelete) show('before', context.softDelete ? 'delete' : 'undelete');
  }
}
class Song extends softDelete(Model) {
  static tableName = 'songs';
}
class Play extends Model {
  static tableName = 'plays';
}

const names = (rows) => rows.map(({ name, state }) => (state === 'gone' ? `(${name})` : name));

/** What may differ with a bridge, and so is rolled back. */
const tryOut = (label, work) => outcome(label, async () => {
  const trx = await transaction.start(knex);
  try {
    return await work(trx);
  } finally {
    await trx.rollback();
  }
});

async function state() {
  for (const model of [Artist, Album, Song]) {
    show(model.tableName, [names(await model.query().whereNotDeleted().orderBy('id')), names(await model.query().whereDeleted().orderBy('id')), names(await model.query().orderBy('id'))]);
  }
  show('graph', (await Artist.query().whereNotDeleted().withGraphFetched('albums(notDeleted).songs(notDeleted)').modifyGraph('albums', (q) => q.orderBy('id')).modifyGraph('albums.songs', (q) => q.orderBy('id')).orderBy('id'))
    .map((artist) => [artist.name, artist.albums.map((album) => [album.name, names(album.songs)])]));
  show('joined graph', (await Artist.query().withGraphJoined('allAlbums').orderBy(['artists.id', 'allAlbums.id'])).map((artist) => [...names([artist]), names(artist.allAlbums)]));
  show('sizes', [await Artist.query().resultSize(), await Album.query().whereNotDeleted().resultSize(), await Song.query().whereDeleted().resultSize()]);
}

await Artist.query().insertGraph(['ann', 'bob', 'cid'].map((name) => ({ name, allAlbums: [1, 2].map((n) => ({ name: `${name} ${n}`, songs: [{ name: `song ${n} of ${name}` }] })) })));
await state();

// ------------------------------------------------------------------- delete

show('delete', await Song.query().delete().where('name', 'like', '%bob'));
show('delete by relation', await (await Artist.query().findOne({ name: 'bob' })).$relatedQuery('albums').delete());
show('delete by id', await Artist.query().deleteById(2));
const ann = await Album.query().findOne({ name: 'ann 1' });
show('delete an album', [await ann.$query().delete(), (await ann.$query()).state]);
show('its songs', names(await Song.query().where({ parent: ann.id })));
show('and delete them', await Song.query().delete().where({ parent: ann.id }).whereNotDeleted().then(() => Song.query().where({ parent: ann.id, state: 'here' }).resultSize()));
await state();
show('delete again', [await Artist.query().deleteById(2), await Artist.query().delete().where({ id: 2 }).whereNotDeleted()]);
show('find', [names([await Artist.query().findById(2)]), await Artist.query().findById(2).whereNotDeleted()]);
show('patch what is deleted', [await Artist.query().patch({ name: 'Bob' }).where({ id: 2 }), (await Artist.query().patchAndFetchById(2, { name: 'bob' })).name]);
show('sub-query', names(await Album.query().whereIn('parent', Artist.query().select('id').whereDeleted()).orderBy('id')));
show('related, all', names(await Artist.relatedQuery('allAlbums').for(2).orderBy('id')));
show('the artist of an album', (await Album.query().whereDeleted().withGraphFetched('artist').orderBy('id')).map((album) => [album.name, ...names([album.artist])]));

// --------------------------------------------------------------------- keys

await tryOut('unique key of a deleted artist', (trx) => Artist.query(trx).insert({ name: 'bob' }).returning('name'));
await tryOut('foreign key to a deleted artist', (trx) => Album.query(trx).insert({ name: 'late', parent: 2 }).returning('name'));
await tryOut('foreign key of live albums', (trx) => Artist.query(trx).deleteById(3));
await tryOut('songs of a deleted album', async (trx) => [await Album.query(trx).delete().where({ name: 'cid 1' }), names(await Song.query(trx).where('name', 'like', '% 1 of cid'))]);
await tryOut('upsert that meets a deleted artist', (trx) => Artist.query(trx).insert({ name: 'bob' }).onConflict('name').merge().returning(['name', 'state']));
await tryOut('really delete', async (trx) => [await Song.query(trx).hardDelete().where('name', 'like', '%cid'), names(await Song.query(trx).where('name', 'like', '%cid').orderBy('id'))]);
await tryOut('really delete what is deleted', (trx) => Song.query(trx).hardDelete().whereDeleted());
await outcome('unique key of a live artist', () => Artist.query().insert({ name: 'ann' }));
show('without a status', [await Play.query().insert({ name: 'one', parent: 2 }).then(({ name }) => name), await Play.query().delete(), await Play.query().resultSize()]);

// ------------------------------------------------------------------ undelete

show('undelete', [await Artist.query().undelete().where({ id: 2 }), await Artist.query().undelete().whereDeleted()]);
show('undelete by relation', await Artist.relatedQuery('allAlbums').for(2).undelete());
show('undelete songs', (await Song.query().undelete().where('name', 'like', '%bob')));
show('undelete an album', [await ann.$query().undelete(), (await ann.$query()).state]);
show('undelete its songs', await Song.query().undelete().where({ parent: ann.id }));
await state();
show('deleted in another state', [await Album.query().patch({ state: 'draft' }).where({ name: 'cid 2' }), await Album.query().delete().where({ name: 'cid 2' }), await Song.query().delete().where('name', 'song 2 of cid')]);
show('as another state', [await Album.query().patch({ state: 'draft' }).whereDeleted(), await Song.query().undelete().whereDeleted(), (await Album.query().findOne({ name: 'cid 2' })).state]);

// ------------------------------------------------------------- transactions

await outcome('a transaction that fails', () => Artist.transaction(async (trx) => {
  show('in it', [await Song.query(trx).delete(), await Album.query(trx).delete(), await Artist.query(trx).delete(), await Artist.query(trx).whereNotDeleted().resultSize(), await Artist.query(trx).resultSize()]);
  await Artist.query(trx).insert({ name: null });
}));
show('to and fro', await Song.transaction(async (trx) => {
  const seen = [];
  for (let round = 1; round <= 3; round += 1) {
    seen.push(await Song.query(trx).delete().where('id', '<', 4), await Song.query(trx).whereNotDeleted().resultSize());
    seen.push(await Song.query(trx).undelete().whereDeleted(), await Song.query(trx).whereDeleted().resultSize());
  }
  return seen;
}));
show('graph upserted', await Artist.query().upsertGraphAndFetch({ id: 1, name: 'Ann', albums: [{ id: ann.id, name: 'best of' }] }).then((artist) => [artist.name, names(artist.albums)]));
await state();
await knex.destroy();
