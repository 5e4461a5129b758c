'use strict';
// Feeds that wait: how they wake, beat and end, compared with recordings of
// the same events, chunk by chunk.

const assert = require('node:assert');
const { before, describe, it } = require('node:test');
const { Server, recording, rowsOf, within } = require('./helper');

let server;

before(async () => { server = await Server.start(); });
const isBeat = (chunk) => chunk === '\n' || chunk.startsWith('event: heartbeat');

/** A chunk reduced to what does not depend on the database. */
function shape(chunk) {
  if (isBeat(chunk)) return chunk;
  return chunk.replaceAll(/"\d+-g1[\w-]+"/g, 'SEQ')
    .replaceAll(/"\d+-[0-9a-f]{32}"/g, 'REV')
    .replaceAll(/"id":"[^"]*"/g, 'ID').replaceAll(/"_id":"[^"]*"/g, '_ID');
}

const shapes = (chunks) => chunks.map(shape);
const withoutBeats = (chunks) => chunks.filter((chunk) => !isBeat(chunk));

/** A database with `count` documents. */
async function fresh(name, count = 0) {
  await server.ok('PUT', `/${name}`);
  const docs = [...Array(count).keys()].map((n) => ({ _id: `doc${n}`, n }));
  if (count > 0) await server.ok('POST', `/${name}/_bulk_docs`, { docs });
}

/** The rest of a recorded request's query, on our database. */
function asRecorded(name, database) {
  const line = recording(name).request.toString().split(' ')[1];
  return line.replace(/^\/\w+/, `/${database}`)
    .replace(/since=\d+-[^&]*/, 'since=now');
}

const started = ['arrival of the start', (p) => p?.chunks.length > 0];

/** Opens what was recorded, does `events` one after another, each when the
 *  feed shows what the one before it made, and returns the whole answer. */
async function perform(name, count, events = [], rest = 0) {
  const database = name.replaceAll('_', '-');
  await fresh(database, count);
  const wire = server.feed(asRecorded(name, database));
  await wire.until(started[1], started[0]);
  for (const { act, seen } of events) {
    await act(`/${database}`);
    if (seen !== undefined)
      await wire.until((p) => p && (rowsOf(p.body).length >= seen || p.complete), `${seen} rows`);
  }
  await wire.ended();
  const answer = await wire.until((p) => p && p.rest.length >= rest, 'bytes after the end');
  wire.close();
  return answer;
}

const put = (id, seen) => ({ act: (db) => server.ok('PUT', `${db}/${id}`, { a: 1 }), seen });
const bulk = (n, seen) => ({ seen, act: (db) => server.ok('POST', `${db}/_bulk_docs`,
  { docs: [...Array(n).keys()].map((i) => ({ _id: `b${i}` })) }) });
const drop = { act: (db) => server.ok('DELETE', db) };
const remove = (id, seen) => ({ seen, act: async (db) => {
  const { _rev } = await server.ok('GET', `${db}/${id}`);
  return server.ok('DELETE', `${db}/${id}?rev=${_rev}`);
} });

describe('layout of', { concurrency: true }, () => {
  const exact = [
    ['continuous_since_now_timeout_1500', 3],
    ['continuous_timeout_1500_put_at_1000', 3, [put('ct1', 1)]],
    ['continuous_deleted', 3, [remove('doc1', 1)]],
    ['continuous_limit_3', 14],
    ['continuous_live_alias', 14],
    ['longpoll_since_now_wake', 3, [put('lp1')]],
    ['longpoll_since_now_wake_include_docs', 0, [put('lp2')]],
    ['longpoll_bulk_wake', 3, [bulk(5)]],
    ['longpoll_timeout_0', 3],
    ['longpoll_timeout_2000', 3],
    ['eventsource_since_now_timeout_1500', 3],
    ['continuous_db_deleted_timeout_feed', 3, [drop]],
  ];
  for (const [name, count, events] of exact) {
    it(name, async () => {
      const recorded = recording(name);
      const answer = await perform(name, count, events, recorded.rest.length);
      assert.strictEqual(answer.status, recorded.status);
      assert.deepStrictEqual(withoutPending(shapes(answer.chunks)),
        withoutPending(shapes(recorded.chunks)));
      assert.deepStrictEqual(answer.rest, recorded.rest);
    });
  }

  // Regular heartbeats are a matter of time.
  const beating = [
    ['continuous_db_deleted', 3, [drop]],
    ['continuous_db_deleted_recreated', 3, [drop]],
    ['longpoll_db_deleted', 3, [drop]],
    ['eventsource_db_deleted', 3, [drop]],
    ['continuous_limit_2_waits', 3, [put('cl1', 1), put('cl2')]],
  ];
  for (const [name, count, events] of beating) {
    it(name, async () => {
      const recorded = recording(name);
      const answer = await perform(name, count, events, recorded.rest.length);
      assert.deepStrictEqual(shapes(withoutBeats(answer.chunks)),
        shapes(withoutBeats(recorded.chunks)));
      assert.deepStrictEqual(answer.rest, recorded.rest);
    });
  }
});

/** The recorded databases held more than was asked for. */
function withoutPending(chunks) {
  return chunks.map((chunk) => chunk.replace(/"pending":\d+/, '"pending":N'));
}

describe('a waiting feed', { concurrency: true }, () => {
  for (const feed of ['continuous', 'longpoll', 'eventsource']) {
    it(`beats as long as nothing happens (${feed})`, async () => {
      await fresh(`beats-${feed}`, 1);
      const wire = server.feed(
        `/beats-${feed}/_changes?feed=${feed}&since=now&heartbeat=100&timeout=150`);
      const start = Date.now();
      const beat = feed === 'eventsource' ? 'event: heartbeat\ndata: \n\n' : '\n';
      const { chunks } = await wire.until((p) =>
        p?.chunks.filter((chunk) => chunk === beat).length >= 6, 'six heartbeats');
      assert(Date.now() - start >= 480, 'heartbeats came too fast');
      assert.strictEqual(chunks.filter((chunk) => chunk === beat).length,
        chunks.length - (feed === 'continuous' ? 0 : 1));
      wire.close();
    });
  }

  it('is announced by a heartbeat when it wakes', async () => {
    await fresh('announced');
    const wire = server.feed('/announced/_changes?feed=continuous&heartbeat=60000');
    await wire.until((p) => p?.chunks.length === 1, 'first chunk');
    await server.ok('PUT', '/announced/x', {});
    const { chunks } = await wire.until((p) => p?.chunks.length === 3, 'row');
    assert.deepStrictEqual(chunks.slice(0, 2), ['\n', '\n']);
    assert.strictEqual(rowsOf(chunks[2])[0].id, 'x');
    wire.close();
  });

  it('shows a row within 50 ms of its write', async () => {
    await fresh('prompt');
    const wire = server.feed('/prompt/_changes?feed=continuous&heartbeat=60000');
    await wire.until((p) => p?.chunks.length === 1, 'first chunk');
    const late = [];
    for (let n = 1; n <= 20; n++) {
      await server.ok('PUT', `/prompt/x${n}`, {});
      const start = Date.now();
      await wire.until((p) => p && rowsOf(p.body).length === n, 'row');
      late.push(Date.now() - start);
    }
    late.sort((a, b) => a - b); // a busy machine may pause now and then
    assert(late[10] < 50, `delays in ms: ${late.join()}`);
    wire.close();
  });

  it('starts its timeout anew with each write, also of a filtered row', async () => {
    await fresh('anew');
    const wire = server.feed('/anew/_changes?feed=continuous&filter=_selector&timeout=1000',
      { method: 'POST', body: '{"selector":{"n":1}}' });
    await wire.until((p) => p?.chunks.length === 1, 'first chunk');
    const start = Date.now();
    await new Promise((done) => setTimeout(done, 600));
    await server.ok('PUT', '/anew/other', { n: 2 });
    const { body } = await wire.ended();
    assert(Date.now() - start >= 1500, `ended after ${Date.now() - start} ms`);
    assert.match(body, /^\n\n\{"last_seq":"1-[^"]*","pending":0\}\n\n$/);
    wire.close();
  });

  it('sends its headers before the first row', async () => {
    await fresh('headers');
    for (const feed of ['continuous', 'longpoll', 'eventsource']) {
      const wire = server.feed(`/headers/_changes?feed=${feed}`);
      const { status } = await wire.until((p) => p !== undefined, 'headers');
      assert.strictEqual(status, 'HTTP/1.1 200 OK');
      wire.close();
    }
  });

  it('holds nothing back when rows stop coming', async () => {
    await fresh('stops', 30);
    const wire = server.feed('/stops/_changes?feed=continuous&heartbeat=60000');
    const { chunks } = await wire.until((p) => p && rowsOf(p.body).length === 30, 'rows');
    for (const chunk of chunks) assert(Buffer.byteLength(chunk) <= 1490);
    wire.close();
  });
});

describe('filters', { concurrency: true }, () => {
  before(async () => {
    await fresh('filtered', 4);
    await server.ok('PUT', '/filtered/_design/dd', {
      filters: { more: 'function (doc, req) { return doc.n >= req.query.than; }' },
      views: { odd: { map: 'function (doc) { if (doc.n % 2) emit(doc.n); }' } },
    });
  });

  const live = async (query, options, wanted) => {
    const wire = server.feed(
      `/filtered/_changes?feed=continuous&heartbeat=60000&${query}`, options);
    const { body } = await wire.until((p) =>
      p && rowsOf(p.body).length === wanted.length, `rows of ${query}`);
    assert.deepStrictEqual(rowsOf(body).map((row) => row.id), wanted);
    wire.close();
  };
  const post = (body) => ({ method: 'POST', body: JSON.stringify(body) });

  it('by a function', () => live('filter=dd/more&than=2', {}, ['doc2', 'doc3']));
  it('by a view', () => live('filter=_view&view=dd/odd', {}, ['doc1', 'doc3']));
  it('by ids in the query', () =>
    live('filter=_doc_ids&doc_ids=["doc3","none","doc0"]', {}, ['doc0', 'doc3']));
  it('by ids in the body', () =>
    live('filter=_doc_ids', post({ doc_ids: ['doc2'] }), ['doc2']));
  it('by a selector', () => live('filter=_selector',
    post({ selector: { n: { $lt: 2 } } }), ['doc0', 'doc1']));
  it('by being a design document', () => live('filter=_design', {}, ['_design/dd']));
});

describe('a database', { concurrency: true }, () => {
  it('that is deleted and made anew has other sequences and another time', async () => {
    await fresh('anew2', 3);
    const old = await server.ok('GET', '/anew2');
    for (let i = 0; i < 3; i++) {
      await server.ok('DELETE', '/anew2');
      assert.strictEqual((await server.ask('GET', '/anew2')).status, 404);
      await fresh('anew2', 3);
      const info = await server.ok('GET', '/anew2');
      assert.notStrictEqual(info.instance_start_time, old.instance_start_time);
      assert.notStrictEqual(info.update_seq, old.update_seq);
      const { results } = await server.ok('GET', `/anew2/_changes?since=${old.update_seq}`);
      assert.strictEqual(results.length, 3, 'a full replay');
      Object.assign(old, info);
    }
  });

  it('ends all its feeds when it is deleted, busy ones too', async () => {
    await fresh('ends', 2000);
    const queries = ['feed=continuous', 'feed=continuous&since=now',
      'feed=continuous&include_docs=true', 'feed=longpoll&since=now',
      'feed=eventsource&heartbeat=60000'];
    const wires = queries.map((query) => server.feed(`/ends/_changes?${query}`));
    await Promise.all(wires.map((wire) => wire.until((p) => p?.chunks.length > 0, 'start')));
    const writes = bulk(500).act('/ends').catch(() => {}); // may come too late
    await server.ok('DELETE', '/ends');
    const answers = await Promise.all(wires.map((wire) => wire.ended()));
    await writes;
    for (const { body } of answers.slice(0, 4))
      assert.match(body, /"last_seq":"\d+-[^"]*","pending":0\}\n\n$/);
    wires.forEach((wire) => wire.close());
  });

  it('may have any name that CouchDB allows', async () => {
    for (const name of ['a/b', 'ab', 'a+b', 'a$b(c)-d_e', 'x-mrview', 'a/b/c']) {
      const path = '/' + encodeURIComponent(name);
      await server.ok('PUT', path);
      await server.ok('PUT', `${path}/doc`, {});
      assert.strictEqual((await server.ok('GET', path)).db_name, name);
      assert.strictEqual((await server.ok('GET', path)).doc_count, 1);
      const { results } = await server.ok('GET', `${path}/_changes`);
      assert.deepStrictEqual(results.map((row) => row.id), ['doc']);
    }
    assert((await server.ok('GET', '/_all_dbs')).includes('a/b'));
    for (const name of ['A', '1a', '_x', 'a b', 'é'])
      assert.strictEqual((await server.ask('PUT', '/' + encodeURIComponent(name))).status,
        400, name);
    assert.strictEqual((await server.ask('PUT', '/ab')).status, 412);
  });

  it('counts its documents', async () => {
    await fresh('counts', 5);
    await remove('doc1').act('/counts');
    const info = await server.ok('GET', '/counts');
    assert.strictEqual(info.doc_count, 4);
    assert.strictEqual(info.doc_del_count, 1);
    assert.match(info.update_seq, /^6-g1AAAA/);
  });
});

describe('_db_updates', { concurrency: true }, () => {
  const seen = (body, name) => rowsOf(body)
    .filter((row) => row.db_name === name).map((row) => row.type);

  for (const feed of ['continuous', 'longpoll', 'eventsource']) {
    it(`tells of a database's life (${feed})`, async () => {
      const name = `life-${feed}`;
      let since = 'now', types = [];
      const acts = [() => server.ok('PUT', `/${name}`),
        () => server.ok('PUT', `/${name}/x`, {}), () => server.ok('DELETE', `/${name}`)];
      let wire;
      const open = () => server.feed(
        `/_db_updates?feed=${feed}&heartbeat=50&since=${encodeURIComponent(since)}`);
      const told = async (count) => {
        for (;;) { // a longpoll may end with rows of the other tests
          const { body, complete } = await wire.until((p) =>
            p && (types.length + seen(p.body, name).length >= count || p.complete), 'event');
          if (types.length + seen(body, name).length >= count) return;
          assert(complete);
          await renew();
        }
      };
      const renew = async () => {
        const { body } = await wire.ended();
        types = types.concat(seen(body, name));
        since = /"last_seq":"([^"]*)"/.exec(body)[1];
        wire.close();
        wire = open();
        await wire.until((p) => p !== undefined, 'headers');
      };
      wire = open();
      await wire.until((p) => p !== undefined, 'headers');
      for (const [i, act] of acts.entries()) {
        await act();
        await told(i + 1);
      }
      assert.deepStrictEqual(types.concat(seen(wire.parsed().body, name)),
        ['created', 'updated', 'deleted']);
      wire.close();
    });
  }

  it('shows each kind of event once, the last one', async () => {
    await fresh('once');
    for (let n = 0; n < 3; n++) {
      await server.ok('PUT', `/once/x${n}`, {});
      await new Promise((done) => setTimeout(done, 60));
    }
    const { results, last_seq, ...rest } = await server.ok('GET', '/_db_updates');
    assert.deepStrictEqual(results.filter((row) => row.db_name === 'once')
      .map((row) => row.type), ['created', 'updated']);
    assert.match(last_seq, /^\d+-g1/);
    assert.deepStrictEqual(rest, {}, 'no pending');
  });

  it('ends at its timeout', async () => {
    const wire = server.feed('/_db_updates?feed=eventsource&since=now&timeout=0');
    const { status } = await within(wire.ended(), 'end');
    assert.strictEqual(status, 'HTTP/1.1 200 OK');
    wire.close();
  });
});
