// TypeORM's synchronize: the statements that it finds necessary as entities change, with rows deleted in between.
// packages: nodejs
// storages: aside
import { DataSource, EntitySchema } from 'typeorm';
import { connection, show } from './transcript.mjs';

const { user: username, ...server } = connection;

function entities(version) {
  const Team = new EntitySchema({
    name: 'Team',
    columns: {
      id: { type: 'int', primary: true, generated: 'identity', generatedIdentity: 'BY DEFAULT' },
      name: { type: 'varchar', length: 80, unique: version < 3 },
      ...(version > 1 ? { motto: { type: 'text', nullable: version < 3, default: 'on' } } : { legacy: { type: 'text', nullable: true } }),
    },
    checks: version > 2 ? [{ name: 'named', expression: "name <> ''" }] : [],
  });
  const Player = new EntitySchema({
    name: 'Player',
    columns: { id: { type: 'int', primary: true }, shirt: { type: version < 3 ? 'int' : 'bigint', nullable: true, comment: 'its number' } },
    relations: {
      team: { type: 'many-to-one', target: 'Team', nullable: false, onDelete: version < 3 ? 'CASCADE' : 'RESTRICT' },
      friends: { type: 'many-to-many', target: 'Player', joinTable: { name: 'friends' } },
    },
    uniques: [{ name: 'one_shirt', columns: ['team', 'shirt'] }],
    indices: version > 1 ? [{ name: 'by_shirt', columns: ['shirt'] }] : [],
  });
  return [Team, Player];
}

for (const version of [1, 1, 2, 2, 3, 3, 2, 1]) {
  const db = new DataSource({ type: 'postgres', username, ...server, entities: entities(version) });
  await db.initialize();
  const builder = db.driver.createSchemaBuilder();
  show(`version ${version}`, (await builder.log()).upQueries.map(({ query }) => query));
  await db.synchronize();
  show('left to do', (await db.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query));
  const [teams, players] = ['Team', 'Player'].map((name) => db.getRepository(name));
  show('cleared', [(await players.createQueryBuilder().delete().execute()).affected, (await teams.createQueryBuilder().delete().execute()).affected]);
  await teams.insert([1, 2, 3].map((id) => ({ id, name: `t${id}` })));
  await players.insert([1, 2, 3, 4, 5, 6].map((id) => ({ id, shirt: id, team: { id: 1 + (id % 3) } })));
  await db.query('INSERT INTO friends SELECT 1, id FROM player');
  show('deleted', [(await players.delete([1, 4])).affected, (await teams.delete([2])).affected]);
  await teams.insert({ id: 2, name: 't1b' });
  const runner = db.createQueryRunner();
  for (const table of await runner.getTables(['team', 'player', 'friends'])) {
    show(table.name, {
      columns: table.columns.map(({ name, type, length, isNullable, default: value, comment }) => ({ name, type, length, isNullable, value, comment })),
      keys: [...table.uniques, ...table.checks, ...table.indices].map(({ name, columnNames, expression, isUnique }) => ({ name, columnNames, expression, isUnique })).sort((a, b) => (a.name < b.name ? -1 : 1)),
      references: table.foreignKeys.map(({ name, columnNames, referencedTableName, onDelete }) => ({ name, columnNames, referencedTableName, onDelete })),
    });
  }
  await runner.release();
  await db.destroy();
}
