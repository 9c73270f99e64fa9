// A library on Sequelize: models with associations, upserts and optimistic locking; sync() makes the schema.
// packages: nodejs
import { DataTypes, Op, Sequelize } from 'sequelize';
import { connection, fails, show } from './transcript.mjs';

const { database, user, ...options } = connection;
const sequelize = new Sequelize(database, user, '', { dialect: 'postgres', ...options, logging: false, define: { timestamps: false, underscored: true } });

const Member = sequelize.define('Member', {
  email: { type: DataTypes.STRING, allowNull: false, unique: true },
  name: DataTypes.STRING,
}, { version: true });
const Profile = sequelize.define('Profile', { bio: DataTypes.TEXT, settings: DataTypes.JSONB });
const Book = sequelize.define('Book', {
  id: { type: DataTypes.INTEGER, primaryKey: true },
  isbn: { type: DataTypes.STRING, unique: 'one_isbn' },
  title: { type: DataTypes.STRING, unique: 'one_edition' },
  edition: { type: DataTypes.INTEGER, unique: 'one_edition', defaultValue: 1 },
}, { indexes: [{ fields: ['title'] }] });
const Author = sequelize.define('Author', { name: DataTypes.STRING }, { indexes: [{ unique: true, fields: [sequelize.fn('lower', sequelize.col('name'))], name: 'one_author' }] });
const Loan = sequelize.define('Loan', { days: DataTypes.INTEGER }, { hooks: { afterDestroy: (loan) => show('hook: loan ended', loan.days) } });
const Category = sequelize.define('Category', { code: { type: DataTypes.STRING, primaryKey: true } });

Member.hasOne(Profile, { foreignKey: { allowNull: false }, onDelete: 'CASCADE' });
Profile.belongsTo(Member);
Member.hasMany(Loan, { foreignKey: { allowNull: false }, onDelete: 'CASCADE' });
Loan.belongsTo(Member);
Book.hasMany(Loan, { onDelete: 'RESTRICT' });
Loan.belongsTo(Book);
Book.belongsToMany(Author, { through: 'authorship' });
Author.belongsToMany(Book, { through: 'authorship' });
Category.hasMany(Category, { as: 'children', foreignKey: 'parent', onDelete: 'SET NULL' });
Category.hasMany(Book, { onDelete: 'SET NULL', onUpdate: 'CASCADE' });
Book.belongsTo(Category);

await sequelize.sync();
show('sync', Object.keys(sequelize.models));
await sequelize.sync();
show('sync again', Object.keys(sequelize.models));
await sequelize.sync({ force: true });
show('sync by force', Object.keys(sequelize.models));

const plain = (rows) => JSON.parse(JSON.stringify(rows));

// ----------------------------------------------------------------- fixtures

async function seed() {
  await Loan.destroy({ where: {} });
  show('cleared', [await Member.destroy({ where: {} }), await Book.destroy({ where: {} }), await Author.destroy({ where: {} }), await Category.destroy({ where: {} })]);
  await Category.bulkCreate([{ code: 'all' }, { code: 'novel', parent: 'all' }, { code: 'crime', parent: 'all' }]);
  await Member.bulkCreate([{ id: 1, email: 'ann@example.org', name: 'Ann' }, { id: 2, email: 'bob@example.org', name: 'Bob' }]);
  await Profile.bulkCreate([{ id: 1, MemberId: 1, bio: 'reads', settings: { theme: 'dark' } }]);
  await Book.bulkCreate([1, 2, 3].map((id) => ({ id, isbn: `i${id}`, title: `t${id}`, CategoryCode: 'novel' })));
  await Author.bulkCreate([{ id: 1, name: 'Woolf' }, { id: 2, name: 'Mann' }]);
  await Loan.bulkCreate([{ id: 1, MemberId: 1, BookId: 1, days: 7 }, { id: 2, MemberId: 2, BookId: 2, days: 14 }]);
  for (const table of ['members', 'profiles', 'authors', 'loans']) await sequelize.query(`SELECT setval('${table}_id_seq', 10)`);
}
await seed();
await seed(); // the same ids again

async function state() {
  show('members', plain(await Member.findAll({ include: [{ model: Profile, attributes: ['bio'] }, { model: Loan, attributes: ['id', 'days', 'BookId'] }], order: ['id', [Loan, 'id']] })));
  show('books', plain(await Book.findAll({
    include: [{ model: Author, attributes: ['name'], through: { attributes: [] } }, { model: Category, attributes: ['code'] }], order: ['id', [Author, 'name']],
  })));
  show('categories', plain(await Category.findAll({ order: ['code'] })));
}
await state();

// ------------------------------------------------------------ many to many

const [woolf, mann] = await Author.findAll({ order: ['id'] });
const book = await Book.findByPk(1);
const authors = async (label) => show(label, (await book.getAuthors({ order: ['name'] })).map(({ name }) => name));
await book.setAuthors([woolf, mann]);
await authors('set');
await book.setAuthors([mann]);
await authors('set fewer');
await book.setAuthors([woolf, mann]);
await authors('set again');
await book.removeAuthor(woolf);
await authors('remove');
await book.addAuthor(woolf);
await book.addAuthor(woolf);
await authors('add twice');
show('has', [await book.hasAuthor(woolf), await book.countAuthors()]);
await woolf.destroy();
await authors('destroy an author');
await Author.create({ id: 1, name: 'WOOLF' });
await authors('a new one of that id');
await book.setAuthors([]);
await authors('set none');
await book.createAuthor({ name: 'Kafka' });
await authors('create');

// -------------------------------------------------- counts, RETURNING, foreign keys

show('destroy', await Loan.destroy({ where: { id: 2 } }));
show('destroy again', await Loan.destroy({ where: { id: 2 } }));
show('update what is gone', await Loan.update({ days: 1 }, { where: { id: 2 } }));
show('update, returning', plain((await Loan.update({ days: 8 }, { where: { id: 1 }, returning: true }))[1]));
show('find what is gone', await Loan.findByPk(2));
show('count', [await Loan.count(), await Book.count({ include: [{ model: Loan, required: true }], distinct: true }), await Loan.sum('days')]);
await fails('restrict', () => Book.destroy({ where: { id: 1 } }));
show('destroy one by one, with hooks', await Loan.destroy({ where: { MemberId: 1 }, individualHooks: true }));
show('restrict no more', await Book.destroy({ where: { id: 1 } }));
await fails('child of what is gone', () => Loan.create({ MemberId: 2, BookId: 1, days: 3 }));
show('cascade', await Member.destroy({ where: { email: { [Op.like]: 'ann%' } } }));
show('set null', await Category.destroy({ where: { code: 'novel' } }));
await Category.update({ code: 'thriller' }, { where: { code: 'crime' } });
await state();
const stale = await Book.findByPk(2);
await Book.destroy({ where: { id: 2 } });
await fails('reload what is gone', () => stale.reload());
await stale.destroy();
show('save what is gone', plain(await stale.set({ title: 'new' }).save()));
show('it stays so', await Book.findByPk(2));

// --------------------------------------------------------------------- keys

await fails('unique', () => Member.create({ email: 'bob@example.org' }));
await fails('primary key', () => Book.create({ id: 3, isbn: 'x' }));
await fails('two columns', () => Book.create({ id: 4, title: 't3' }));
await fails('expression', () => Author.create({ name: 'MANN' }));
await fails('not null', () => Member.create({ name: 'x' }));
show('free keys', plain(await Member.create({ id: 1, email: 'ann@example.org', name: 'Ann II', Profile: { bio: 'again' } }, { include: [Profile] })));
show('free keys', plain(await Book.create({ id: 1, isbn: 'i1', title: 't1' })));
show('one transaction', await sequelize.transaction(async (transaction) => {
  const seen = [];
  for (const title of ['a', 'b', 'c']) {
    seen.push(await Book.destroy({ where: { id: 1 }, transaction }));
    seen.push((await Book.create({ id: 1, isbn: 'i1', title }, { transaction })).title);
  }
  return seen;
}));

// ------------------------------------------------------------------- upserts

for (const round of [1, 2, 3]) {
  const values = { email: 'cid@example.org', name: `Cid ${round}` };
  const upsert = async (fields) => { const [row, created] = await Member.upsert(fields, { conflictFields: ['email'] }); return [row.name, row.version, created]; };
  show(`round ${round}: upsert`, await upsert(values));
  show(`round ${round}: upsert again`, await upsert({ ...values, name: `${values.name}+` }));
  const [found, created] = await Member.findOrCreate({ where: { email: values.email }, defaults: { name: 'no' } });
  show(`round ${round}: find or create`, [found.name, created]);
  show(`round ${round}: destroy`, await Member.destroy({ where: { email: values.email } }));
  const again = await Member.findOrCreate({ where: { email: values.email }, defaults: { name: 'yes' } });
  show(`round ${round}: find or create`, [again[0].name, again[1]]);
  show(`round ${round}: find or build`, (await Member.findOrBuild({ where: { email: values.email } }))[1]);
  show(`round ${round}: find, create, find`, (await Member.findCreateFind({ where: { email: values.email } }))[1]);
  if (round < 3) show(`round ${round}: destroy`, await Member.destroy({ where: { email: values.email } }));
}
show('upsert by primary key', plain((await Book.upsert({ id: 2, isbn: 'i2', title: 'back' }))[0]));
const bulk = (title) => Book.bulkCreate([1, 2, 7].map((id) => ({ id, isbn: `i${id}`, title: `${title} ${id}` })), { updateOnDuplicate: ['title'] });
show('bulk', plain(await bulk('one')));
await Book.destroy({ where: { id: [2, 7] } });
show('bulk, updated or created', plain(await bulk('two')));
show('bulk, ignoring', (await Book.bulkCreate([{ id: 7, title: 'no' }, { id: 8, title: 'yes' }], { ignoreDuplicates: true })).length);
show('bulk by another key', plain(await Book.bulkCreate([{ id: 70, isbn: 'i7', title: 'three 7' }], { updateOnDuplicate: ['title'], conflictAttributes: ['isbn'] })).length);
await fails('bulk that fails', () => Book.bulkCreate([{ id: 9 }, { id: 8 }]));
show('books', plain(await Book.findAll({ order: ['id'] })));

// ------------------------------------------------- transactions, optimistic locks

const mine = await Member.findByPk(1);
const yours = await Member.findByPk(1);
mine.name = 'Anne';
await mine.save();
yours.name = 'Anna';
await fails('optimistic lock', () => yours.save());
show('version', mine.version);
await yours.destroy();
show('destroyed with a stale version', await Member.count({ where: { id: 1 } }));
await Member.destroy({ where: { id: 1 } });
mine.name = 'Annie';
await fails('optimistic lock, gone', () => mine.save());
await fails('optimistic lock, increment', async () => { await mine.destroy(); await mine.reload(); });
show('back', plain(await Member.create({ id: 1, email: 'ann@example.org' })));

const transaction = await sequelize.transaction();
show('in a transaction', await Book.destroy({ where: {}, transaction }));
const inner = await sequelize.transaction({ transaction });
await Book.create({ id: 1, isbn: 'i1' }, { transaction: inner });
await inner.rollback();
show('after a savepoint', await Book.count({ transaction }));
show('outside', await Book.count());
await transaction.rollback();
show('rolled back', await Book.count());
show('truncate', await Profile.truncate({ restartIdentity: true }));
show('truncate by cascade', await Member.truncate({ cascade: true, restartIdentity: true }));
show('first again', plain(await Member.create({ email: 'ann@example.org', Profile: {} }, { include: [Profile] })));
show('raw', (await sequelize.query('DELETE FROM books WHERE id = :id RETURNING id', { replacements: { id: 1 }, type: Sequelize.QueryTypes.SELECT })));
await state();
await Book.sync({ force: true });
show('a table made again', await Book.count());

await sequelize.close();
