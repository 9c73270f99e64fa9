// What the applications share: how they print what they see, so that two runs can be compared.
import { inspect } from 'node:util';

/** Where the database is, for clients that do not read PGHOST and the like themselves. */
export const connection = {
  host: process.env.PGHOST,
  port: Number(process.env.PGPORT ?? 5432),
  user: process.env.PGUSER,
  database: process.env.PGDATABASE,
};

/** Prints what an application saw. */
export function show(label, value) {
  console.log(`${label}: ${inspect(value, { depth: 8, breakLength: 110, sorted: true })}`);
}

/** The error of the server within what a client has wrapped around it. */
function serverError(error) {
  for (let inner = error; inner; inner = inner.original ?? inner.driverError ?? inner.nativeError ?? inner.cause) {
    if (/^[0-9A-Z]{5}$/.test(inner.code ?? '')) return inner;
  }
  return {};
}

/** How something failed: the client's own error, and the server's within it. */
function failure(error) {
  const { code, schema, table, column, constraint, ...rest } = serverError(error);
  // that of these two is the whole row, all of its columns
  const detail = ['23502', '23514'].includes(code) ? undefined : rest.detail;
  const seen = { class: error.constructor.name, code, schema, table, column, constraint, detail, fields: error.fields };
  return Object.fromEntries(Object.entries(seen).filter(([, value]) => value !== undefined));
}

/** Prints how something failed.  Not to fail is an error. */
export async function fails(label, work) {
  try {
    await work();
  } catch (error) {
    show(label, failure(error));
    return;
  }
  throw new Error(`${label}: did not fail`);
}

/** Prints what came of something, a value or how it failed. */
export async function outcome(label, work) {
  show(label, await work().catch(failure));
}

/** Sorts rows, for where an application does not ask for an order. */
export function sorted(rows) {
  return [...rows].sort((a, b) => (inspect(a) < inspect(b) ? -1 : 1));
}
