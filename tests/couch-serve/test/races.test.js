'use strict';
// Writers against open feeds: whatever the moment at which a write lands, each
// document's last revision must be in every feed, in order and once.

const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, it } = require('node:test');
const { Server, lastRevs, rowsOf, writeALot } = require('./helper');

const REACH_MS = 60000; // for a machine with other work

const numberOf = (row) => parseInt(row.seq, 10);

function assertInOrder(rows) {
  let last = 0;
  for (const row of rows) {
    if (row.seq === null) continue;
    assert(numberOf(row) > last, `${row.seq} after ${last}`);
    last = numberOf(row);
  }
}

function difference(got, wanted) {
  const lines = [];
  for (const [id, rev] of wanted)
    if (got.get(id) !== rev) lines.push(`${id}: ${got.get(id)} instead of ${rev}`);
  return lines;
}

/** One feed held open. */
class Held {
  constructor(server, name, query, options) {
    this.wire = server.feed(
      `/${name}/_changes?heartbeat=60000&${query}`, options);
    this.query = query;
  }

  /** Rows are looked at once in a while: parsing all at each piece of data
   *  would take longer than the test. */
  async reach(wanted) {
    const until = Date.now() + REACH_MS;
    for (;;) {
      const rows = rowsOf(this.wire.parsed()?.body ?? '');
      const missing = difference(lastRevs(rows), wanted);
      if (missing.length === 0) return rows;
      assert(Date.now() < until && !this.wire.closed,
        `${this.query}: ${missing.length} wrong, such as ${missing[0]}`);
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}

/** Follows by requests, one after another, each from where the last ended. */
class Repeated {
  constructor(server, name, query) {
    Object.assign(this, { server, name, query });
    this.rows = [];
    this.since = '0';
    this.running = this.run();
  }

  async run() {
    while (!this.done) {
      const { results, last_seq } = await this.server.ok('GET',
        `/${this.name}/_changes?${this.query}&since=${encodeURIComponent(this.since)}`);
      this.rows.push(...results);
      this.since = last_seq;
    }
  }

  async reach(wanted) {
    const until = Date.now() + REACH_MS;
    for (;;) {
      const missing = difference(lastRevs(this.rows), wanted);
      if (missing.length === 0) break;
      assert(Date.now() < until,
        `${this.query}: ${missing.length} wrong, such as ${missing[0]}`);
      await new Promise((done) => setTimeout(done, 50));
    }
    this.done = true;
    await this.running;
    return this.rows;
  }
}

const SELECTOR = { method: 'POST', body: '{"selector":{"n":{"$gte":0}}}' };

function feedsOf(server, name) {
  return [
    new Held(server, name, 'feed=continuous'),
    new Held(server, name, 'feed=continuous&style=all_docs'),
    new Held(server, name, 'feed=continuous&include_docs=true'),
    new Held(server, name, 'feed=continuous&seq_interval=100'),
    new Held(server, name, 'feed=continuous&filter=_view&view=dd/all'),
    new Held(server, name, 'feed=continuous&filter=_selector', SELECTOR),
    new Held(server, name, 'feed=eventsource'),
    new Repeated(server, name, 'feed=longpoll&timeout=500'),
    new Repeated(server, name, 'feed=longpoll&limit=7&timeout=500'),
    new Repeated(server, name, 'feed=longpoll&include_docs=true&limit=50&timeout=500'),
    new Repeated(server, name, 'feed=normal&limit=40'),
  ];
}

async function race(server, name, size) {
  await server.ok('PUT', `/${name}`);
  await server.ok('PUT', `/${name}/_design/dd`,
    { views: { all: { map: 'function (doc) { emit(doc.n); }' } } });
  const feeds = feedsOf(server, name);
  const later = [];
  const writing = writeALot(server, name, size);
  // Feeds that open in the middle of it.
  while (later.length < 4) {
    await new Promise((done) => setTimeout(done, 60));
    later.push(new Held(server, name, later.length % 2 ?
      'feed=continuous' : 'feed=continuous&include_docs=true'));
  }
  const wanted = await writing;
  const { rows: docs } = await server.ok('GET', `/${name}/_all_docs`);
  const alive = [...wanted].filter(([, rev]) => !rev.endsWith(' deleted'));
  const stored = new Map(docs.filter((doc) => doc.id !== '_design/dd')
    .map((doc) => [doc.id, doc.value.rev]));
  assert.deepStrictEqual(difference(stored, alive), []);
  assert.strictEqual(stored.size, alive.length);
  assert(alive.length < wanted.size, 'there are deletions among the writes');
  for (const feed of [...feeds, ...later]) {
    const rows = await feed.reach(wanted);
    assertInOrder(rows);
    feed.wire?.close();
  }
}

const KINDS = [
  { kind: 'memory', args: () => [], bulk: 10000 },
  { kind: 'a directory', args: (dir) => ['--dir', dir], bulk: 2500 },
];

for (const { kind, args, bulk } of KINDS) {
  describe(`with data in ${kind}`, () => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'couch-serve-'));
    let server;
    before(async () => { server = await Server.start(...args(dir)); });
    after(async () => {
      await server.stop();
      fs.rmSync(dir, { recursive: true });
    });

    it('bulk writers against all feeds', () =>
      race(server, 'bulk', { writers: 4, rounds: 12, docs: 60 }));

    it('single writes against all feeds', () =>
      race(server, 'single', { writers: 8, rounds: 40, docs: 1 }));

    // Big documents take long to judge: a write lands while one is read.
    for (const size of [0, 300000]) {
      it(`writes of ${size} bytes that meet are heard without a request`, async () => {
        await server.ok('PUT', `/meet${size}`);
        const name = `meet${size}`, pad = 'x'.repeat(size);
        const feeds = [new Held(server, name, 'feed=continuous'),
          new Held(server, name, 'feed=continuous&filter=_selector', SELECTOR)];
        let wanted = 0;
        for (let round = 1; round <= 40; round++) {
          const writes = 1 + round % 4;
          wanted += writes;
          await Promise.all([...Array(writes).keys()].map((n) =>
            server.ok('PUT', `/${name}/${round}-${n}`, { n, pad })));
          for (const { wire, query } of feeds)
            await wire.until((p) => p && rowsOf(p.body).length === wanted, `row ${wanted} of ${query}`);
        }
        for (const { wire } of feeds) wire.close();
      });
    }

    it('a write that lands while a feed reads its last page is heard', async () => {
      await server.ok('PUT', '/slow');
      const pad = 'x'.repeat(200000);
      await server.ok('POST', '/slow/_bulk_docs',
        { docs: [...Array(30).keys()].map((n) => ({ _id: `d${n}`, n, pad })) });
      await server.ok('GET', '/slow/_changes');
      for (let delay = 0; delay < 60; delay += 3) {
        const feed = new Held(server, 'slow', 'feed=continuous&filter=_selector', SELECTOR);
        await new Promise((done) => setTimeout(done, delay));
        const { id } = await server.ok('PUT', `/slow/late${delay}`, { n: 1 });
        await feed.wire.until((p) => p?.body.includes(`"id":"${id}"`), `row of ${id}`);
        feed.wire.close();
      }
    });

    it(`${bulk} documents in each of four bulks at once`, async () => {
      await server.ok('PUT', '/big');
      const feed = new Held(server, 'big', 'feed=continuous');
      const bulks = [0, 1, 2, 3].map((w) => server.ok('POST', '/big/_bulk_docs',
        { docs: [...Array(bulk).keys()].map((n) => ({ _id: `${w}-${n}`, n })) }));
      const wanted = new Map((await Promise.all(bulks)).flat()
        .map(({ id, rev }) => [id, rev]));
      const rows = await feed.reach(wanted);
      feed.wire.close();
      assertInOrder(rows);
      assert.strictEqual(rows.length, 4 * bulk);
    });

    it('a bulk is written and answered in its order', async () => {
      await server.ok('PUT', '/order');
      const docs = [...Array(300).keys()].map((n) => ({ _id: `x${n % 7}-${n}` }));
      await server.ok('PUT', '/order/x0-7', {});
      const results = await server.ok('POST', '/order/_bulk_docs', { docs });
      assert.deepStrictEqual(results.map((result) => result.id), docs.map((doc) => doc._id));
      assert.strictEqual(results[7].error, 'conflict');
      const { results: rows } = await server.ok('GET', '/order/_changes');
      const fresh = docs.map((doc) => doc._id).filter((id) => id !== 'x0-7');
      assert.deepStrictEqual(rows.map((row) => row.id), ['x0-7', ...fresh]);
    });

    it('a write is in the very next normal answer', async () => {
      await server.ok('PUT', '/own');
      for (let n = 1; n <= 30; n++) {
        const { id, rev } = await server.ok('PUT', `/own/x${n}`, {});
        const { results, pending } = await server.ok('GET', '/own/_changes');
        assert.strictEqual(results.length, n);
        assert.deepStrictEqual([results[n - 1].id, results[n - 1].changes[0].rev],
          [id, rev]);
        assert.strictEqual(pending, 0);
        assert.strictEqual((await server.ok('GET', '/own')).doc_count, n);
      }
    });

    it('databases come and go under writers and feeds', async () => {
      for (let round = 0; round < 5; round++) {
        await server.ok('PUT', '/goes');
        const writer = writeALot(server, 'goes', { writers: 2, rounds: 20, docs: 50 })
          .then(() => 'all written', (err) => err);
        const wires = ['feed=continuous', 'feed=continuous&include_docs=true',
          'feed=longpoll&since=now'].map((query) => server.feed(`/goes/_changes?${query}`));
        await Promise.all(wires.map((wire) => wire.until((p) => p !== undefined, 'head')));
        await new Promise((done) => setTimeout(done, 20 * round));
        await server.ok('DELETE', '/goes');
        const end = await writer;
        assert.match(String(end), /all written|404.*not_found/);
        for (const wire of wires) {
          await wire.ended();
          wire.close();
        }
      }
    });
  });
}
