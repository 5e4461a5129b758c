'use strict';
// Refusals: CouchDB's recorded requests are sent again, byte for byte, and
// must be refused with the same status, headers and words.

const assert = require('node:assert');
const { before, test } = require('node:test');
const { Server, recording, recordings } = require('./helper');

// MochiWeb's own limits and leniency, below HTTP requests proper.
const BELOW_HTTP = new Set(['err_414_or_long_uri', 'err_431_long_header',
  'err_long_since', 'err_garbage_request', 'err_lf_only_request',
  'err_no_host_header']);
const NOT_REFUSED = new Set(['err_bad_since_int_0', 'err_timeout_negative']);
const MORE = ['db_updates_bad_since', 'db_updates_no_auth', 'session_post_bad',
  'since_array_json', 'up'];

let server;

before(async () => {
  server = await Server.start('--admin', 'admin:secret');
  const admin = { Authorization: 'Basic ' + btoa('admin:secret') };
  const put = (path, body) => server.ok('PUT', path, body, admin);
  await put('/wire3');
  for (const n of [1, 2, 3]) await put(`/wire3/d${n}`, { n });
  await put('/wire3/_design/dd', {
    filters: {
      odd: 'function (doc) { return doc.n % 2 === 1; }',
      boom: 'function (doc) { throw "boom"; }',
      err: 'function (doc) { return doc.a.b.c; }',
      syn: 'function (doc, req) { return (',
      loop: 'function (doc) { for (;;) ; }',
    },
    views: { v: { map: 'function (doc) { emit(doc._id); }' } },
  });
  const user = (name) => put(`/_users/org.couchdb.user:${name}`,
    { name, password: 'pw', roles: [], type: 'user' });
  await user('joe');
  await user('sue');
});

/** Erlang's terms go on for screens: their kind is what counts. */
const kind = (reason) => /^\{(?:<<"\w+">>|\w+)/.exec(reason)?.[0] ?? reason;

function words(body) {
  const { error, reason, ref, ...rest } = JSON.parse(body);
  return { error, reason: reason && kind(reason), ref: typeof ref, ...rest };
}

const refused = recordings().filter((name) => name.startsWith('err_') &&
  !BELOW_HTTP.has(name) && !NOT_REFUSED.has(name)).concat(MORE);

test('there are recordings to compare with', () => {
  assert(refused.length > 45, `only ${refused.length} recordings`);
});

for (const name of refused) {
  test(`answer of ${name}`, async () => {
    const { request, status, headers, body } = recording(name);
    const wire = server.send(request);
    const answer = await wire.ended();
    wire.close();
    assert.strictEqual(answer.status, status);
    for (const header of ['Content-Type', 'Cache-Control', 'Allow'])
      assert.strictEqual(answer.headers.get(header), headers.get(header), header);
    assert.deepStrictEqual(words(answer.body), words(body));
    assert.match(answer.body, /\}\n$/);
  });
}

test('a negative timeout closes the connection without a word', async () => {
  const wire = server.send(recording('err_timeout_negative').request);
  await wire.until((_, { closed }) => closed, 'close');
  assert.strictEqual(wire.bytes.length, 0);
});

test('an unknown path of the server is refused', async () => {
  const { status, body } = await server.ask('GET', '/_nothing');
  assert.strictEqual(status, 404);
  assert.strictEqual(body.error, 'not_found');
});
