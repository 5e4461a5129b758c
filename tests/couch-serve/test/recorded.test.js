'use strict';
// The feeds of a database that was built from a recording, asked with the
// recorded requests: same headers, same rows, same pending, same layout.
// CouchDB's order of rows depends on its shards, so rows are compared by id.

const assert = require('node:assert');
const { before, test } = require('node:test');
const { Server, recording, recordings, rowsOf } = require('./helper');

const ADMIN = { Authorization: 'Basic ' + btoa('admin:secret') };
let server;

/** Documents with the very revisions that the recordings show. */
async function rebuild(name, from, leavesFrom) {
  const leaves = new Map(rowsOf(recording(leavesFrom).body)
    .map((row) => [row.id, row.changes.map((change) => change.rev)]));
  const docs = rowsOf(recording(from).body).flatMap(({ id, doc }) => {
    const { _attachments, ...plain } = doc; // without their data
    const losers = leaves.get(id).filter((rev) => rev !== doc._rev);
    // What would win, did it not lose for being deleted.
    return [plain, ...losers.map((_rev) =>
      ({ _id: id, _rev, _deleted: _rev > doc._rev }))];
  });
  await server.ok('PUT', `/${name}`, undefined, ADMIN);
  await server.ok('POST', `/${name}/_bulk_docs`, { new_edits: false, docs }, ADMIN);
}

before(async () => {
  server = await Server.start('--admin', 'admin:secret');
  await rebuild('wire', 'changes_style_all_docs_include_docs',
    'changes_style_all_docs');
  await server.ok('PUT', '/wire_empty', undefined, ADMIN);
});

const SPECIAL = /since=\d+-|last_event_id|if_none_match/;
const comparable = recordings().filter((name) => {
  const line = recording(name).request.toString().split('\r\n')[0];
  return name.startsWith('changes_') && !SPECIAL.test(line + name) &&
    /^\w+ \/(?:wire|wire_empty)\/_changes/.test(line);
});

function comparableRow({ seq, doc, ...row }) {
  assert(seq === null || /^\d+-g1AAAA[\w-]+$/.test(seq), `sequence ${seq}`);
  if (!doc) return { ...row, members: Object.keys(row).join() };
  const { _attachments, ...plain } = doc;
  return { ...row, doc: plain, members: Object.keys(row).join() };
}

/** By id; a limited answer depends on the order, so only the form of its rows
 *  can be the same. */
function comparableRows(body, limited) {
  const rows = rowsOf(body).map(comparableRow);
  if (limited) return rows.map((row) => Object.keys(row).filter((k) => k !== 'deleted'));
  for (const row of rows) // the winner comes first, the others as they come
    row.changes = [row.changes[0], ...row.changes.slice(1).map((c) => c.rev).sort()];
  return rows.sort((a, b) => (a.id < b.id ? -1 : 1));
}

// Node 18 insists on saying that it keeps a connection.
const SAID_BY_NODE_18 = parseInt(process.versions.node, 10) < 20 ?
  ['connection', 'keep-alive'] : [];
const names = (headers) => [...headers.keys()].map((n) => n.toLowerCase())
  .filter((name) => !SAID_BY_NODE_18.includes(name)).sort();

test('there are recordings to compare with', () => {
  assert(comparable.length >= 20, `only ${comparable.length} recordings`);
});

for (const name of comparable) {
  test(`answer to ${name}`, async () => {
    const recorded = recording(name);
    const wire = server.send(recorded.request);
    // The answer to HEAD has no body whatever its headers say.
    const answer = await wire.ended();
    wire.close();
    assert.strictEqual(answer.status, recorded.status);
    assert.deepStrictEqual(names(answer.headers), names(recorded.headers));
    for (const header of ['Content-Type', 'Cache-Control', 'Transfer-Encoding',
      'Content-Length'])
      assert.strictEqual(answer.headers.get(header), recorded.headers.get(header));
    assert.strictEqual(answer.headers.get('Connection') === 'close',
      recorded.headers.get('Connection') === 'close');
    assert.match(answer.headers.get('ETag') ?? '""', /^"[0-9A-Z]*"$/);
    assert.strictEqual(answer.chunks[0], recorded.chunks[0]);
    assert.strictEqual(answer.chunks.at(-1), recorded.chunks.at(-1));
    const limited = /[?&]limit=/.test(recorded.request);
    assert.deepStrictEqual(comparableRows(answer.body, limited),
      comparableRows(recorded.body, limited));
    const end = /\n\],\n"last_seq":"(\d+)-[^"]*",("pending":\d+)\}\n\n$/;
    assert.deepStrictEqual(end.exec(answer.body)?.slice(2),
      end.exec(recorded.body)?.slice(2));
  });
}

const listIds = ({ body }) => body.results.map((row) => row.id);
const ask = (query, headers = {}) =>
  server.ask('GET', `/wire/_changes${query}`, undefined, { ...ADMIN, ...headers });

test('every row\'s sequence continues right after that row', async () => {
  const all = (await ask('')).body;
  const ids = all.results.map((row) => row.id);
  for (let i = 0; i < ids.length; i++) {
    const since = encodeURIComponent(all.results[i].seq);
    assert.deepStrictEqual(listIds(await ask(`?since=${since}`)), ids.slice(i + 1));
    assert.deepStrictEqual(listIds(await ask(`?last-event-id=${since}`)),
      ids.slice(i + 1));
    const rest = await ask(`?since=${since}&limit=1`);
    assert.strictEqual(rest.body.pending, Math.max(0, ids.length - i - 2));
  }
});

test('since takes a sequence quoted, without its number, or with a wrong one',
  async () => {
    const { results } = (await ask('')).body;
    const { seq } = results[2], rest = results.slice(3).map((row) => row.id);
    const opaque = seq.replace(/^\d+-/, '');
    for (const since of [`"${seq}"`, opaque, `999-${opaque}`])
      assert.deepStrictEqual(
        listIds(await ask(`?since=${encodeURIComponent(since)}`)), rest);
  });

test('a cut or garbled sequence is refused', async () => {
  const { seq } = (await ask('')).body.results[2];
  for (let i = 0; i < seq.length; i++) {
    const other = seq[i] === 'x' ? 'y' : 'x';
    const garbled = seq.slice(0, i) + other + seq.slice(i + 1);
    const { status } = await ask(`?since=${encodeURIComponent(garbled)}`);
    assert.strictEqual(status, 400, garbled);
  }
  for (const since of [seq.slice(0, -1), seq.slice(0, 20), seq + 'A', '1-', '-1'])
    assert.strictEqual((await ask(`?since=${since}`)).status, 400, since);
});

test('the sequence of another database starts over, silently', async () => {
  const { body } = await server.ask('GET', '/wire_empty', undefined, ADMIN);
  const all = listIds(await ask(''));
  assert.deepStrictEqual(listIds(await ask(`?since=${body.update_seq}`)), all);
});

test('Last-Event-ID counts for an event source and for nothing else', async () => {
  const { results } = (await ask('')).body;
  const headers = { 'Last-Event-ID': results[2].seq };
  assert.strictEqual(listIds(await ask('', headers)).length, results.length);
  const source = server.feed('/wire/_changes?feed=eventsource&timeout=0',
    { headers: { ...ADMIN, ...headers } });
  const { body } = await source.ended();
  source.close();
  assert.deepStrictEqual(rowsOf(body).map((row) => row.id),
    results.slice(3).map((row) => row.id));
});

test('an unchanged database answers 304 to its ETag', async () => {
  const { headers } = await ask('?limit=1');
  const etag = headers.get('etag');
  const again = await ask('', { 'If-None-Match': etag });
  assert.strictEqual(again.status, 304);
  assert.strictEqual(again.headers.get('etag'), etag);
  await server.ok('PUT', '/wire/_local/x', {}, ADMIN);
  assert.strictEqual((await ask('', { 'If-None-Match': etag })).status, 304);
  await server.ok('PUT', '/wire/new', {}, ADMIN);
  assert.strictEqual((await ask('', { 'If-None-Match': etag })).status, 200);
});
