// Prisma with an extension that deletes softly, as its manual has them: delete, deleteMany, find*, restore, nested
// writes, upserts, raw queries.  It deletes softly by itself, by a time.
// packages: nodejs
// bridge: deletedAt
//
// The client is made as "prisma generate" makes one, whose own engine would have to be downloaded: of a data model,
// the package's runtime and its compiler of queries.
import { createRequire } from 'node:module';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { connection, outcome, show } from './transcript.mjs';

const require = createRequire(import.meta.url);
const { getPrismaClient } = require('@prisma/client/runtime/client.js');
const { version } = require('@prisma/client/package.json');
const compiler = '@prisma/client/runtime/query_compiler_bg.postgresql';

const schema = `
  datasource db {
    provider = "postgresql"
    url      = "postgresql://"
  }
  generator client {
    provider   = "prisma-client-js"
    engineType = "client"
  }
  model User {
    id        Int       @id @default(autoincrement())
    email     String    @unique
    name      String?
    deletedAt DateTime?
    posts     Post[]
    profile   Profile?
  }
  model Post {
    id        Int       @id @default(autoincrement())
    title     String
    author    User?     @relation(fields: [authorId], references: [id], onDelete: NoAction)
    authorId  Int?
    deletedAt DateTime?
    @@unique([authorId, title])
  }
  model Profile {
    id        Int       @id @default(autoincrement())
    bio       String
    user      User      @relation(fields: [userId], references: [id], onDelete: Cascade)
    userId    Int       @unique
    deletedAt DateTime?
  }`;
const tables = `
  CREATE TABLE "User" (id serial PRIMARY KEY, email text NOT NULL, name text, "deletedAt" timestamp(3));
  CREATE TABLE "Post" (id serial PRIMARY KEY, title text NOT NULL, "authorId" integer, "deletedAt" timestamp(3));
  CREATE TABLE "Profile" (id serial PRIMARY KEY, bio text NOT NULL, "userId" integer NOT NULL, "deletedAt" timestamp(3));
  CREATE UNIQUE INDEX "User_email_key" ON "User" (email);
  CREATE UNIQUE INDEX "Post_authorId_title_key" ON "Post" ("authorId", title);
  CREATE UNIQUE INDEX "Profile_userId_key" ON "Profile" ("userId");
  ALTER TABLE "Post" ADD CONSTRAINT "Post_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "User" ON UPDATE CASCADE;
  ALTER TABLE "Profile" ADD CONSTRAINT "Profile_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ON DELETE CASCADE ON UPDATE CASCADE;`;

/** The data model as "prisma generate" reduces it. */
const scalar = (name, type) => ({ name, kind: 'scalar', type });
const relation = (name, type, relationName) => ({ name, kind: 'object', type, relationName });
const models = {
  User: [scalar('id', 'Int'), scalar('email', 'String'), scalar('name', 'String'), scalar('deletedAt', 'DateTime'), relation('posts', 'Post', 'PostToUser'), relation('profile', 'Profile', 'ProfileToUser')],
  Post: [scalar('id', 'Int'), scalar('title', 'String'), relation('author', 'User', 'PostToUser'), scalar('authorId', 'Int'), scalar('deletedAt', 'DateTime')],
  Profile: [scalar('id', 'Int'), scalar('bio', 'String'), relation('user', 'User', 'ProfileToUser'), scalar('userId', 'Int'), scalar('deletedAt', 'DateTime')],
};

const PrismaClient = getPrismaClient({
  generator: { name: 'client', provider: { fromEnvVar: null, value: 'prisma-client-js' }, config: { engineType: 'client' }, binaryTargets: [], previewFeatures: [] },
  relativeEnvPaths: {}, relativePath: '.', dirname: '.', clientVersion: version, engineVersion: 'none', datasourceNames: ['db'], activeProvider: 'postgresql', postinstall: false,
  inlineDatasources: { db: { url: { fromEnvVar: null, value: 'postgresql://' } } }, inlineSchema: schema, inlineSchemaHash: '', copyEngine: true,
  runtimeDataModel: { models: Object.fromEntries(Object.entries(models).map(([name, fields]) => [name, { fields, dbName: null }])), enums: {}, types: {} },
  compilerWasm: {
    getRuntime: async () => require(`${compiler}.js`),
    getQueryCompilerWasmModule: async () => new WebAssembly.Module(Buffer.from(require(`${compiler}.wasm-base64.js`).wasm, 'base64')),
  },
});

const base = new PrismaClient({ adapter: new PrismaPg(connection) });

/** The extension: what Prisma's manual proposes. */
const prisma = base.$extends({
  query: {
    $allModels: {
      ...Object.fromEntries(['findMany', 'findFirst', 'findFirstOrThrow', 'count', 'aggregate', 'groupBy', 'updateMany'].map((operation) => [operation, ({ args, query }) => {
        const { withDeleted, ...where } = args.where ?? {};
        return query({ ...args, where: withDeleted ? where : { deletedAt: null, ...where } });
      }])),
      findUnique: ({ model, args }) => base[model].findFirst({ ...args, where: { ...args.where, deletedAt: null } }),
    },
  },
  model: {
    $allModels: {
      softDelete(where) { return this.update({ where, data: { deletedAt: new Date() } }); },
      softDeleteMany(where) { return this.updateMany({ where, data: { deletedAt: new Date() } }); },
      restore(where) { return this.update({ where, data: { deletedAt: null } }); },
      restoreMany(where) { return this.updateMany({ where: { ...where, deletedAt: { not: null } }, data: { deletedAt: null } }); },
    },
  },
});

const client = new pg.Client(connection);
await client.connect();
await client.query(tables);
await client.end();

const names = (rows, column) => rows.map((row) => row && (row.deletedAt === null ? row[column] : `(${row[column]})`));
const all = (where) => ({ where: { withDeleted: true, ...where }, orderBy: { id: 'asc' } });
const live = (where) => ({ where, orderBy: { id: 'asc' } });

/** The error as an application tells it from others. */
const known = (error) => ({ class: error.constructor.name, code: error.code, target: error.meta?.driverAdapterError?.cause?.constraint ?? error.meta?.target });
const attempt = (label, work) => outcome(label, () => work().catch(known));

/** What may differ with a bridge, and so is rolled back. */
const tryOut = (label, work) => attempt(label, async () => {
  let result;
  await prisma.$transaction(async (tx) => {
    result = await work(tx);
    throw new RangeError('rolled back');
  }).catch((error) => { if (!(error instanceof RangeError)) throw error; });
  return result;
});

async function state() {
  show('users', names(await prisma.user.findMany(live()), 'name'));
  show('all users', names(await prisma.user.findMany(all()), 'name'));
  show('deleted users', names(await prisma.user.findMany(live({ deletedAt: { not: null } })), 'name'));
  show('posts', [names(await prisma.post.findMany(live()), 'title'), names(await prisma.post.findMany(all({ deletedAt: { not: null } })), 'title')]);
  show('users with posts', (await prisma.user.findMany({ ...live(), include: { posts: { where: { deletedAt: null }, orderBy: { id: 'asc' } }, profile: true } }))
    .map((user) => [user.name, names(user.posts, 'title'), user.profile?.bio]));
  show('all users with all posts', (await prisma.user.findMany({ ...all(), include: { posts: { orderBy: { id: 'asc' } } } })).map((user) => [...names([user], 'name'), names(user.posts, 'title')]));
  show('counts', [await prisma.user.count(), await prisma.user.count({ where: { withDeleted: true } }), (await prisma.post.aggregate({ _count: true }))._count,
    (await prisma.post.groupBy({ by: ['authorId'], where: { withDeleted: true }, _count: true, orderBy: { authorId: 'asc' } })).map(({ authorId, _count }) => [authorId, _count])]);
}

for (const name of ['ann', 'bob', 'cid']) {
  await prisma.user.create({ data: { name, email: `${name}@example.org`, profile: { create: { bio: `${name}'s` } }, posts: { create: [1, 2].map((n) => ({ title: `${name} ${n}` })) } } });
}
await state();

// ------------------------------------------------------------------- delete

show('posts of bob', await prisma.post.softDeleteMany({ author: { name: 'bob' } }));
const bob = await prisma.user.softDelete({ email: 'bob@example.org' });
show('bob', [bob.name, bob.deletedAt instanceof Date]);
show('his profile', names(await prisma.profile.findMany(all({ userId: bob.id })), 'bio'));
show('and deletes it', await prisma.profile.softDelete({ userId: bob.id }).then(({ deletedAt }) => deletedAt instanceof Date));
show('a post', (await prisma.post.softDelete({ authorId_title: { authorId: 1, title: 'ann 2' } })).title);
await state();
show('find unique', [await prisma.user.findUnique({ where: { id: bob.id } }), (await base.user.findUnique({ where: { id: bob.id } })).name]);
await attempt('find or throw', () => prisma.user.findFirstOrThrow({ where: { name: 'bob' } }));
show('update of what is deleted', (await prisma.user.update({ where: { id: bob.id }, data: { name: 'Bob' } })).name);
show('update many', [await prisma.user.updateMany({ where: { name: 'Bob' }, data: { name: 'bob' } }), await prisma.user.updateMany({ where: { withDeleted: true, name: 'Bob' }, data: { name: 'bob' } })]);
show('delete again', [await prisma.user.softDeleteMany({ id: bob.id }), (await prisma.user.softDelete({ id: bob.id })).name]);
show('relations', [
  names(await prisma.post.findMany(all({ author: { deletedAt: { not: null } } })), 'title'),
  names(await prisma.user.findMany(all({ posts: { some: { deletedAt: { not: null } } } })), 'name'),
  names(await prisma.user.findMany(all({ posts: { none: { deletedAt: null } } })), 'name'),
  names(await prisma.user.findMany(all({ OR: [{ deletedAt: null }, { email: { contains: 'bob' } }] })), 'name'),
]);
show('counted relations', (await prisma.user.findMany({ ...all(), select: { name: true, _count: { select: { posts: true } } } })).map(({ name, _count }) => [name, _count.posts]));
show('by time', names(await prisma.user.findMany(all({ deletedAt: { lte: new Date(Date.now() + 60000), gte: new Date(Date.now() - 3600000) } })), 'name'));
show('raw', [await prisma.$queryRaw`SELECT name, "deletedAt" IS NULL AS live FROM "User" ORDER BY id`, await prisma.$executeRaw`UPDATE "Post" SET title = title WHERE "deletedAt" IS NOT NULL`]);
show('cursor', names(await prisma.user.findMany({ ...all(), cursor: { id: bob.id }, skip: 1, take: 1 }), 'name'));
show('distinct', (await prisma.post.findMany({ ...all(), distinct: ['authorId'] })).map(({ authorId }) => authorId));

// --------------------------------------------------------------------- keys

await tryOut('unique key of a deleted user', (tx) => tx.user.create({ data: { email: 'bob@example.org', name: 'new bob' } }).then(({ name }) => name));
await tryOut('two columns of a deleted post', (tx) => tx.post.create({ data: { title: 'ann 2', authorId: 1 } }).then(({ title }) => title));
await tryOut('upsert that meets a deleted user', (tx) => tx.user.upsert({ where: { email: 'bob@example.org' }, create: { email: 'bob@example.org', name: 'made' }, update: { name: 'found' } }).then((user) => names([user], 'name')));
await tryOut('create many, skipping', (tx) => tx.user.createMany({ data: ['ann', 'bob', 'dan'].map((name) => ({ name, email: `${name}@example.org` })), skipDuplicates: true }));
await tryOut('foreign key to a deleted user', (tx) => tx.post.create({ data: { title: 'late', author: { connect: { id: bob.id } } } }).then(({ title }) => title));
await tryOut('foreign key of live posts', (tx) => tx.user.update({ where: { id: 3 }, data: { deletedAt: new Date() } }).then(({ name }) => name));
await tryOut('really delete', async (tx) => [(await tx.post.delete({ where: { id: 6 } })).title, names(await tx.post.findMany(all({ id: 6 })), 'title')]);
await tryOut('really delete what is deleted', (tx) => tx.user.deleteMany({ where: { id: bob.id } }));
await attempt('unique key of a live user', () => prisma.user.create({ data: { email: 'ann@example.org' } }));

// ------------------------------------------------------------------ restore

show('restore', names([await prisma.user.restore({ id: bob.id })], 'name'));
show('his posts', await prisma.post.restoreMany({ authorId: bob.id }));
show('his profile', names([await prisma.profile.update({ where: { userId: bob.id }, data: { deletedAt: null } })], 'bio'));
show('restore what is live', await prisma.user.restoreMany({ id: bob.id }));
await state();
show('nested', await prisma.user.update({ where: { id: 1 }, data: { posts: { updateMany: { where: { deletedAt: null }, data: { deletedAt: new Date() } } } }, include: { posts: { orderBy: { id: 'asc' } } } }).then((user) => names(user.posts, 'title')));
show('nested back', await prisma.user.update({ where: { id: 1 }, data: { posts: { updateMany: { where: { deletedAt: { not: null } }, data: { deletedAt: null } } } }, include: { posts: { where: { deletedAt: null }, orderBy: { id: 'asc' } } } }).then((user) => names(user.posts, 'title')));

// ------------------------------------------------------------- transactions

await attempt('a transaction that fails', () => prisma.$transaction([
  prisma.post.softDeleteMany({}), prisma.user.softDeleteMany({}), prisma.user.create({ data: { email: 'x' } }), base.user.create({ data: { email: 'x' } }),
]));
show('nothing happened', [await prisma.user.count(), await prisma.post.count()]);
show('to and fro', await prisma.$transaction(async (tx) => {
  const seen = [];
  for (let round = 1; round <= 3; round += 1) {
    seen.push((await tx.post.softDeleteMany({ id: { lt: 4 } })).count, await tx.post.count(), (await tx.post.restoreMany({})).count, await tx.post.count());
  }
  return seen;
}));
show('left deleted', [await prisma.post.softDeleteMany({ authorId: 3 }), names([await prisma.user.softDelete({ id: 3 })], 'name')]);
await state();
await base.$disconnect();
