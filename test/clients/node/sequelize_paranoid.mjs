// Sequelize with paranoid models: destroy, restore, paranoid: false, force, upserts and scopes.  It deletes softly
// by itself, by a time.
// packages: nodejs
// bridge: deletedAt
import { DataTypes, Op, Sequelize } from 'sequelize';
import { connection, outcome, show } from './transcript.mjs';

const { database, user, ...options } = connection;
const sequelize = new Sequelize(database, user, '', { dialect: 'postgres', ...options, logging: false, define: { paranoid: true } });

const Member = sequelize.define('member', {
  email: { type: DataTypes.STRING, allowNull: false, unique: true },
  name: DataTypes.STRING,
}, {
  hooks: {
    afterDestroy: (member) => show('hook: destroyed', member.name),
    afterRestore: (member) => show('hook: restored', member.name),
  },
});
const Card = sequelize.define('card', { number: { type: DataTypes.INTEGER, primaryKey: true } }, { timestamps: true, deletedAt: 'deletedAt' });
const Book = sequelize.define('book', {
  id: { type: DataTypes.INTEGER, primaryKey: true }, isbn: { type: DataTypes.STRING, unique: 'one_isbn' }, title: DataTypes.STRING,
}, { scopes: { everything: { paranoid: false } }, version: true });
const Loan = sequelize.define('loan', { days: DataTypes.INTEGER });
const Visit = sequelize.define('visit', { place: DataTypes.STRING }, { paranoid: false, timestamps: false });
Member.hasOne(Card, { onDelete: 'CASCADE', hooks: true });
Card.belongsTo(Member);
Member.hasMany(Loan, { constraints: false });
Loan.belongsTo(Member, { constraints: false });
Book.hasMany(Loan, { constraints: false });
Loan.belongsTo(Book, { constraints: false });
Member.hasMany(Visit, { onDelete: 'CASCADE' });
Visit.belongsTo(Member);
const Tag = sequelize.define('tag', { name: { type: DataTypes.STRING, unique: true } });
const BookTag = sequelize.define('bookTag', {}, { paranoid: true });
Book.belongsToMany(Tag, { through: BookTag });
Tag.belongsToMany(Book, { through: BookTag });

await sequelize.sync();
await sequelize.sync({ force: true });

const isDeleted = (row) => row && row.deletedAt !== null;
const names = (rows, name) => rows.map((row) => (isDeleted(row) ? `(${row[name]})` : row[name]));

/** What may differ with a bridge, and so is rolled back. */
const tryOut = (label, work) => outcome(label, async () => {
  const transaction = await sequelize.transaction();
  try {
    return await work(transaction);
  } finally {
    await transaction.rollback();
  }
});

async function state() {
  const order = ['id'];
  show('members', names(await Member.findAll({ order }), 'name'));
  show('all members', names(await Member.findAll({ order, paranoid: false }), 'name'));
  show('deleted members', names(await Member.findAll({ order, paranoid: false, where: { deletedAt: { [Op.ne]: null } } }), 'name'));
  show('members with loans', (await Member.findAll({ include: [{ model: Loan, include: [Book] }, Card], order: ['id', [Loan, 'id']] }))
    .map((member) => [member.name, member.card?.number, member.loans.map((loan) => [loan.days, loan.book?.title])]));
  show('all members with all loans', (await Member.findAll({ paranoid: false, include: [{ model: Loan, paranoid: false }, { model: Card, paranoid: false }], order: ['id', [Loan, 'id']] }))
    .map((member) => [member.name, member.card?.number, names(member.loans, 'days')]));
  show('counts', [await Member.count(), await Member.count({ paranoid: false }), await Loan.count(), await Loan.sum('days'), await Loan.sum('days', { paranoid: false })]);
}

await Member.bulkCreate(['ann', 'bob', 'cid'].map((name) => ({ name, email: `${name}@example.org` })));
await Card.bulkCreate([1, 2, 3].map((number) => ({ number, memberId: number })));
await Book.bulkCreate([1, 2, 3].map((id) => ({ id, isbn: `i${id}`, title: `t${id}` })));
await Loan.bulkCreate([1, 2, 3].flatMap((id) => [{ memberId: id, bookId: id, days: id }, { memberId: id, bookId: 1, days: 10 * id }]));
await Tag.bulkCreate([{ name: 'old' }, { name: 'new' }]);
await state();

// ------------------------------------------------------------------ destroy

const bob = await Member.findOne({ where: { name: 'bob' } });
await bob.destroy();
show('destroyed', [bob.isSoftDeleted(), bob.deletedAt instanceof Date]);
await state();
show('cards of deleted members', names(await Card.findAll({ where: { memberId: 2 }, paranoid: false }), 'number'));
show('find by key', names([await Member.findByPk(2, { paranoid: false })], 'name'));
show('find by key, live', await Member.findByPk(2));
await outcome('reload', async () => (await bob.reload()).name);
show('reload of all', (await bob.reload({ paranoid: false })).isSoftDeleted());
show('save what is deleted', (await bob.set({ name: 'Bob' }).save()).name);
show('update what is deleted', [await Member.update({ name: 'Robert' }, { where: { id: 2 } }), await Member.update({ name: 'bob' }, { where: { id: 2 }, paranoid: false })]);
show('destroy again', [await Member.destroy({ where: { id: 2 } }), await Member.destroy({ where: { name: 'bob' } })]);
show('destroy many', await Loan.destroy({ where: { days: { [Op.lt]: 5 } } }));
show('destroy one by one', await Loan.destroy({ where: { days: 30 }, individualHooks: true }));
show('by time', names(await Member.findAll({ where: { deletedAt: { [Op.lt]: new Date(Date.now() + 60000) } }, paranoid: false }), 'name'));
show('or', names(await Member.findAll({ where: { [Op.or]: [{ deletedAt: null }, { name: 'bob' }] }, paranoid: false, order: ['id'] }), 'name'));
show('a version', [(await Book.findByPk(3)).version, await Book.destroy({ where: { id: 3 } }), (await Book.scope('everything').findByPk(3)).version]);
show('group', await Loan.count({ group: ['memberId'], paranoid: false }).then((rows) => rows.map(({ memberId, count }) => `${memberId}: ${count}`).sort()));
await state();

// --------------------------------------------------------------------- keys

await tryOut('unique key of a deleted member', (transaction) => Member.create({ email: 'bob@example.org', name: 'new bob' }, { transaction }).then(({ name }) => name));
await tryOut('primary key of a deleted book', (transaction) => Book.create({ id: 3, isbn: 'another' }, { transaction }).then(({ isbn }) => isbn));
await tryOut('find or create a deleted one', (transaction) => Member.findOrCreate({ where: { email: 'bob@example.org' }, defaults: { name: 'yes' }, transaction }).then(([row, created]) => [row.name, created]));
await tryOut('foreign key to a deleted member', (transaction) => Card.create({ memberId: 2, number: 9 }, { transaction }).then(({ number }) => number));
await outcome('unique key of a live member', () => Member.create({ email: 'ann@example.org' }));

// ------------------------------------------------------------------ restore

await (await Member.findByPk(2, { paranoid: false })).restore();
show('restored', names([await Member.findByPk(2)], 'name'));
show('restore cards', await Card.restore({ where: { memberId: 2 } }));
show('restore loans', [await Loan.restore({ where: { memberId: 2, days: { [Op.gt]: 5 } } }), await Loan.restore({ where: { days: 30 } })].length);
show('restore a book', await Book.restore({ where: { id: 3 } }).then(() => Book.count()));
await state();
show('to and fro', await sequelize.transaction(async (transaction) => {
  const seen = [];
  for (let round = 1; round <= 3; round += 1) {
    seen.push(await Book.destroy({ where: { id: 1 }, transaction }), await Book.count({ transaction }));
    await Book.restore({ where: { id: 1 }, transaction });
    seen.push(await Book.count({ transaction }));
  }
  return seen;
}));

// ------------------------------------------------------------- many to many

const book = await Book.findByPk(1);
const tags = await Tag.findAll({ order: ['id'] });
const tagged = async (label) => show(label, (await book.getTags({ order: ['id'] })).map(({ name }) => name));
await book.setTags(tags);
await tagged('set');
await tags[0].destroy();
await tagged('destroy a tag');
await tags[0].restore();
await tagged('restore it');
show('links', await BookTag.count());

// ------------------------------------------------------------------- upserts

const upsert = async (label, values) => {
  const [row, created] = await Member.upsert(values, { conflictFields: ['email'] });
  show(label, [row.name, created]);
};
await upsert('upsert a live one', { email: 'ann@example.org', name: 'Ann' });
await upsert('upsert a new one', { email: 'dan@example.org', name: 'dan' });
await Member.destroy({ where: { name: 'dan' } });
await tryOut('upsert a deleted one', (transaction) => Member.upsert({ email: 'dan@example.org', name: 'Dan' }, { conflictFields: ['email'], transaction }).then(([row]) => [row.name, isDeleted(row)]));
show('bulk', await Book.bulkCreate([{ id: 1, title: 'one' }, { id: 4, isbn: 'i4', title: 'four' }], { updateOnDuplicate: ['title'], conflictAttributes: ['id'] }).then((rows) => rows.length));

// ------------------------------------------------- transactions, force

const transaction = await sequelize.transaction();
show('in a transaction', await Member.destroy({ where: {}, transaction }));
show('in it', await Member.count({ transaction }));
show('outside', await Member.count());
const inner = await sequelize.transaction({ transaction });
await Member.restore({ where: { name: 'cid' }, transaction: inner });
show('restored in a savepoint', await Member.count({ transaction: inner }));
await inner.rollback();
show('after it', await Member.count({ transaction }));
await transaction.rollback();
show('after all', await Member.count());
show('locked', (await sequelize.transaction((t) => Member.findAll({ lock: t.LOCK.UPDATE, transaction: t, order: ['id'], paranoid: false }))).length);

show('force', [await Book.destroy({ where: { id: 4 }, force: true }), await Book.count()]);
show('what was destroyed by force', names(await Book.findAll({ where: { id: 4 }, paranoid: false }), 'title'));
show('truncate', [await Visit.bulkCreate([{ place: 'here', memberId: 1 }]).then((rows) => rows.length), await Visit.destroy({ truncate: true }), await Visit.count()]);
await state();
await sequelize.close();
