// Sequelize's sync({ alter: true }): the statements that it finds necessary as models change, with rows deleted in between.
// packages: nodejs
// storages: aside
import { DataTypes, Sequelize } from 'sequelize';
import { connection, show } from './transcript.mjs';

const { database, user, ...options } = connection;
const said = [];
const logging = (sql) => said.push(sql.replace(/^Executing \([^)]*\): /, ''));
const sequelize = new Sequelize(database, user, '', { dialect: 'postgres', ...options, logging, define: { timestamps: false, underscored: true } });

function define(version) {
  const Team = sequelize.define('Team', {
    name: { type: DataTypes.STRING(version < 2 ? 40 : 80), allowNull: version < 3, unique: 'one_team' },
    ...(version > 1 ? { motto: { type: DataTypes.TEXT, defaultValue: 'on', allowNull: version < 3 } } : { legacy: DataTypes.TEXT }),
  });
  const Player = sequelize.define('Player', {
    id: { type: DataTypes.INTEGER, primaryKey: true },
    shirt: { type: version < 3 ? DataTypes.INTEGER : DataTypes.BIGINT, comment: 'its number' },
  }, { indexes: [{ fields: ['team_id', 'shirt'], unique: true, name: 'one_shirt' }, ...(version > 1 ? [{ fields: ['shirt'] }] : [])] });
  Team.hasMany(Player, { foreignKey: { name: 'team_id', allowNull: false }, onDelete: version < 3 ? 'CASCADE' : 'RESTRICT' });
  Player.belongsTo(Team, { foreignKey: { name: 'team_id', allowNull: false }, onDelete: version < 3 ? 'CASCADE' : 'RESTRICT' });
  return { Team, Player };
}

for (const version of [1, 1, 2, 2, 3, 3]) {
  const { Team, Player } = define(version);
  said.length = 0;
  await sequelize.sync({ alter: true });
  show(`version ${version}`, said);
  show('cleared', [await Player.destroy({ where: {} }), await Team.destroy({ where: {} })]);
  await Team.bulkCreate([1, 2, 3].map((id) => ({ id, name: `t${id}` })));
  await Player.bulkCreate([1, 2, 3, 4, 5, 6].map((id) => ({ id, team_id: 1 + (id % 3), shirt: id })));
  show('deleted', [await Player.destroy({ where: { id: [1, 4] } }), await Team.destroy({ where: { id: 2 } })]);
  await Team.create({ id: 2, name: 't1b' });
}

const queries = sequelize.getQueryInterface();
show('tables', (await queries.showAllTables()).sort());
for (const table of ['teams', 'players']) {
  show(table, await queries.describeTable(table));
  show('indexes', (await queries.showIndex(table)).map(({ name, unique, primary, definition }) => ({ name, unique, primary, definition })));
  show('references', (await queries.getForeignKeyReferencesForTable(table)).map((key) => ({ ...key, tableCatalog: undefined })));
}
await sequelize.drop();
show('dropped', await queries.showAllTables());
await sequelize.sync();
const { Team } = define(3);
await Team.create({ id: 1, name: 'last' });
show('deleted', await Team.destroy({ where: {} }));
await sequelize.close();
