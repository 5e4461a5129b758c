'use strict';
// The process: its options, its ready line, its ends, what survives them, who
// may do what, and what many feeds cost.

const assert = require('node:assert');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, it } = require('node:test');
const { Server, SCRIPT, rowsOf, within } = require('./helper');

const temporary = () => fs.mkdtempSync(path.join(os.tmpdir(), 'couch-serve-'));
const run = (...args) => spawnSync(process.execPath, [SCRIPT, ...args],
  { encoding: 'utf8', timeout: 20000 });

describe('the command line', { concurrency: true }, () => {
  const refused = [
    [['--prot', '1'], /'--prot'/],
    [['--port', 'x'], /--port must be an integer from 0 to 65535, not "x"/],
    [['--port', '65536'], /from 0 to 65535/],
    [['--admin', 'admin'], /NAME:PASSWORD/],
    [['--admin', ':x'], /NAME:PASSWORD/],
    [['--require-valid-user'], /needs --admin/],
    [['--dir', ''], /--dir must not be empty/],
    [['--parent', '0'], /--parent/],
    [['--session-timeout', '0'], /--session-timeout/],
    [['more'], /more/],
  ];
  for (const [args, words] of refused) {
    it(`refuses ${args.join(' ')}`, () => {
      const { status, stdout, stderr } = run(...args);
      assert.strictEqual(status, 2);
      assert.match(stderr, words);
      assert.match(stderr, /^couch-serve: .*\. See --help\.\n$/);
      assert.strictEqual(stdout, '');
    });
  }

  it('has a help', () => {
    const { status, stdout } = run('--help');
    assert.strictEqual(status, 0);
    assert.match(stdout, /^Usage: node couch-serve\.js/);
  });

  it('fails in words when it cannot start', () => {
    const file = path.join(temporary(), 'file');
    fs.writeFileSync(file, '');
    const { status, stderr } = run('--dir', path.join(file, 'dir'));
    assert.strictEqual(status, 1);
    assert.match(stderr, /^couch-serve: cannot start: .*\n$/);
    fs.rmSync(path.dirname(file), { recursive: true });
  });

  it('writes the port to a file', async () => {
    const dir = temporary(), file = path.join(dir, 'port');
    const server = await Server.start('--port-file', file);
    assert.strictEqual(fs.readFileSync(file, 'utf8'), `${server.port}\n`);
    await server.stop();
    fs.rmSync(dir, { recursive: true });
  });

  it('logs requests when asked to', async () => {
    const server = await Server.start('--log');
    await server.ok('GET', '/_up');
    await server.kill('SIGTERM');
    assert.match(server.errors, /^GET \/_up 200 \d+ ms\n$/);
  });
});

describe('a server', { concurrency: true }, () => {
  it('listens on loopback only', async () => {
    const server = await Server.start();
    assert.strictEqual(server.url.hostname, '127.0.0.1');
    const other = Object.values(os.networkInterfaces()).flat()
      .find((address) => !address.internal && address.family === 'IPv4');
    if (other) {
      const socket = net.connect(server.port, other.address);
      const event = await Promise.race([once(socket, 'connect').then(() => 'connected'),
        once(socket, 'error').then(() => 'refused')]).catch(() => 'refused');
      socket.destroy();
      assert.strictEqual(event, 'refused');
    }
    await server.stop();
  });

  for (const signal of ['SIGTERM', 'SIGINT']) {
    it(`ends cleanly and at once at ${signal}, also under an open feed`, async () => {
      const server = await Server.start();
      await server.ok('PUT', '/db');
      const wire = server.feed('/db/_changes?feed=continuous&heartbeat=1000');
      await wire.until((p) => p?.chunks.length > 0, 'start');
      const start = Date.now();
      assert.deepStrictEqual(await server.kill(signal), [0, null]);
      assert(Date.now() - start < 5000);
      await wire.until((_, { closed }) => closed, 'close');
      assert.strictEqual(wire.parsed().complete, false, 'no last chunk');
    });
  }

  it('ends when its standard input does', async () => {
    const server = await Server.start();
    server.child.stdin.end();
    assert.deepStrictEqual(await within(server.exited, 'exit'), [0, null]);
  });

  it('ends when the process that it watches does', async () => {
    const sleeper = spawn('sleep', ['60']);
    const server = await Server.start('--parent', String(sleeper.pid));
    sleeper.kill('SIGKILL');
    assert.deepStrictEqual(await within(server.exited, 'exit'), [0, null]);
  });

  it('keeps its data, identity and sequences through SIGKILL', async () => {
    const dir = temporary();
    let server = await Server.start('--dir', dir);
    await server.ok('PUT', '/a%2Fb');
    await server.ok('PUT', '/db');
    await server.ok('POST', '/db/_bulk_docs',
      { docs: [...Array(500).keys()].map((n) => ({ _id: `d${n}` })) });
    await server.ok('PUT', '/db/last', {});
    const root = await server.ok('GET', '/');
    const changes = await server.ok('GET', '/db/_changes');
    const infos = [await server.ok('GET', '/db'), await server.ok('GET', '/a%2Fb')];
    for (let round = 0; round < 3; round++) {
      const { port } = server;
      const wire = server.feed('/db/_changes?feed=continuous&since=now&heartbeat=1000');
      await wire.until((p) => p?.chunks.length > 0, 'start');
      await server.kill('SIGKILL');
      server = await Server.start('--dir', dir, '--port', String(port));
      assert.strictEqual(server.port, port);
      assert.deepStrictEqual(await server.ok('GET', '/'), root);
      assert.deepStrictEqual(await server.ok('GET', '/db/_changes'), changes);
      assert.deepStrictEqual([await server.ok('GET', '/db'),
        await server.ok('GET', '/a%2Fb')], infos);
      const since = changes.results[400].seq;
      const rest = await server.ok('GET', `/db/_changes?since=${since}`);
      assert.strictEqual(rest.results.length, 100);
    }
    await server.stop();
    fs.rmSync(dir, { recursive: true });
  });

  it('loses no acknowledged write when killed in the middle of writing', async () => {
    const dir = temporary();
    let server = await Server.start('--dir', dir);
    await server.ok('PUT', '/db');
    const told = new Map();
    let enough;
    const many = new Promise((done) => { enough = done; });
    const writers = [0, 1, 2, 3].map(async (w) => {
      for (let n = 0; ; n++) {
        const { id, rev } = await server.ok('PUT', `/db/${w}-${n}`, {});
        told.set(id, rev);
        if (told.size === 60) enough();
      }
    });
    const ends = Promise.allSettled(writers);
    await within(many, '60 writes');
    await server.kill('SIGKILL');
    await ends;
    server = await Server.start('--dir', dir, '--port', String(server.port));
    const { results } = await server.ok('GET', '/db/_changes');
    const stored = new Map(results.map((row) => [row.id, row.changes[0].rev]));
    for (const [id, rev] of told) assert.strictEqual(stored.get(id), rev);
    await server.stop();
    fs.rmSync(dir, { recursive: true });
  });

  it('in memory is another one after a restart', async () => {
    const one = await Server.start(), two = await Server.start();
    const [a, b] = await Promise.all([one, two].map((s) => s.ok('GET', '/')));
    assert.match(a.uuid, /^[0-9a-f]{32}$/);
    assert.notStrictEqual(a.uuid, b.uuid);
    await Promise.all([one.stop(), two.stop()]);
  });
});

describe('with an admin', { concurrency: true }, () => {
  const basic = (who) => ({ Authorization: `Basic ${btoa(who)}` });
  const admin = basic('admin:secret'), joe = basic('joe:pw');
  let server;

  before(async () => {
    server = await Server.start('--admin', 'admin:secret', '--session-timeout', '30');
    await server.ok('PUT', '/_users/org.couchdb.user:joe',
      { name: 'joe', password: 'pw', roles: [], type: 'user' }, admin);
  });
  after(() => server.stop());

  const status = async (...request) => (await server.ask(...request)).status;

  it('only the admin makes and deletes databases, sees them and _db_updates', async () => {
    for (const who of [{}, joe]) {
      assert.strictEqual(await status('PUT', '/x', undefined, who), 401);
      assert.strictEqual(await status('DELETE', '/_users', undefined, who), 401);
      assert.strictEqual(await status('GET', '/_all_dbs', undefined, who), 401);
      assert.strictEqual(await status('GET', '/_db_updates', undefined, who), 401);
    }
    assert.strictEqual(await status('GET', '/_db_updates', undefined, admin), 200);
  });

  it('a new database is the admin\'s until its _security says otherwise', async () => {
    await server.ok('PUT', '/mine', undefined, admin);
    for (const resource of ['/mine', '/mine/_changes', '/mine/_all_docs']) {
      assert.strictEqual(await status('GET', resource), 401);
      assert.strictEqual(await status('GET', resource, undefined, joe), 403);
      assert.strictEqual(await status('GET', resource, undefined, admin), 200);
    }
    await server.ok('PUT', '/mine/_security', { members: { names: ['joe'] } }, admin);
    assert.strictEqual(await status('GET', '/mine/_changes', undefined, joe), 200);
    assert.strictEqual(await status('GET', '/mine/_changes'), 401);
  });

  it('a withdrawn member keeps the rows of an open feed', async () => {
    await server.ok('PUT', '/sec', undefined, admin);
    await server.ok('PUT', '/sec/_security', { members: { names: ['joe'] } }, admin);
    const wire = server.feed('/sec/_changes?feed=continuous&heartbeat=60000', { headers: joe });
    await wire.until((p) => p?.chunks.length > 0, 'start');
    await server.ok('PUT', '/sec/_security', { members: { names: ['sue'] } }, admin);
    await server.ok('PUT', '/sec/x', {}, admin);
    await wire.until((p) => p && rowsOf(p.body).length === 1, 'row');
    assert.strictEqual(await status('GET', '/sec/_changes', undefined, joe), 403);
    wire.close();
  });

  it('a login gives a cookie that serves as credentials', async () => {
    const login = await server.ask('POST', '/_session', { name: 'admin', password: 'secret' });
    assert.deepStrictEqual(login.body, { ok: true, name: 'admin', roles: ['_admin'] });
    const cookie = login.headers.get('set-cookie');
    assert.match(cookie, /^AuthSession=[\w-]+; Version=1; Expires=.* GMT; Max-Age=30; Path=\/; HttpOnly$/);
    const sent = { Cookie: cookie.split(';')[0] };
    const answer = await server.ask('GET', '/_all_dbs', undefined, sent);
    assert.strictEqual(answer.status, 200);
    assert.strictEqual(answer.headers.get('set-cookie'), null, 'too early to renew');
  });
});

it('a cookie expires', async () => {
  const server = await Server.start('--admin', 'admin:secret', '--session-timeout', '1',
    '--require-valid-user');
  const login = await server.ask('POST', '/_session', { name: 'admin', password: 'secret' });
  const Cookie = login.headers.get('set-cookie').split(';')[0];
  const until = Date.now() + 10000;
  let last;
  do {
    last = await server.ask('GET', '/_all_dbs', undefined, { Cookie });
    await new Promise((done) => setTimeout(done, 100));
  } while (last.status === 200 && Date.now() < until);
  assert.strictEqual(last.status, 401);
  assert.deepStrictEqual(last.body,
    { error: 'unauthorized', reason: 'Authentication required.' });
  assert.strictEqual((await server.ask('GET', '/_up')).status, 200);
  await server.stop();
});

describe('many feeds', () => {
  const memoryOf = ({ child }) =>
    Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]);

  it('a thousand wait, hear one write, are closed, and cost nothing then', async (t) => {
    const server = await Server.start();
    await server.ok('PUT', '/db');
    const before = memoryOf(server);
    const open = (since) => Promise.all([...Array(1000).keys()].map(async () => {
      const wire = server.feed(
        `/db/_changes?feed=continuous&heartbeat=60000&since=${since}`);
      await wire.until((p) => p?.chunks.length > 0, 'start');
      return wire;
    }));
    const timeOf100 = async () => {
      const from = Date.now();
      for (let n = 0; n < 100; n++) await server.ok('POST', '/db', { n });
      return Date.now() - from;
    };
    await timeOf100(); // warm
    const alone = await timeOf100();
    const seq = (await server.ok('GET', '/db')).update_seq;
    const wires = await open(seq);
    t.diagnostic(`${memoryOf(server) - before} KiB for 1000 feeds over ${before} KiB`);
    const start = Date.now();
    await server.ok('PUT', '/db/x', {});
    await Promise.all(wires.map((wire) =>
      wire.until((p) => p && rowsOf(p.body).length === 1, 'row')));
    t.diagnostic(`${Date.now() - start} ms until all had the row`);
    wires.forEach((wire) => wire.close());
    const after = await timeOf100();
    t.diagnostic(`100 writes in ${alone} ms before, ${after} ms after`);
    assert(after < 3 * alone + 500, `100 writes took ${alone} ms, then ${after} ms`);
    await server.stop();
  });
});

describe('the stock dialect', () => {
  it('has integer sequences, no pending and no end', async () => {
    const server = await Server.start('--stock');
    await server.ok('PUT', '/db');
    await server.ok('PUT', '/db/x', {});
    const { results, last_seq, ...rest } = await server.ok('GET', '/db/_changes');
    assert.deepStrictEqual([results[0].seq, last_seq, rest], [1, 1, {}]);
    const wire = server.feed('/db/_changes?feed=continuous&heartbeat=100');
    await wire.until((p) => p && /"seq":1\}?/.test(p.body), 'row');
    await server.ok('PUT', '/db/y', {});
    await wire.until((p) => p && /"id":"y"/.test(p.body), 'row');
    wire.close();
    await server.ask('GET', '/db/_changes?filter=no/such');
    await server.ok('GET', '/db');
    await server.kill('SIGTERM');
  });
});
