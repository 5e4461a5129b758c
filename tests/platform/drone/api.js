// The agent's API: who may ask, what is wrong with a body, and the rules of
// claims as they are seen from outside.
'use strict';
const {Drone, ask, assert, hex, main, TOKEN} = require('./harness.js');

async function is(answer, status, why) {
  const a = await answer;
  assert.strictEqual(a.status, status, `${a.status} ${a.body}`);
  assert(a.json !== null, 'JSON: ' + a.body);
  if (status >= 400)
    assert(typeof a.json.error === 'string' && a.json.error.length > 8, a.body);
  if (why !== undefined)
    assert.strictEqual(a.json.why, why);
  return a.json;
}

const tests = {
  async 'only with the token'() {
    const d = await new Drone('auth').start();
    for (const value of [undefined, 'Bearer', `Bearer ${TOKEN}x`, 'Bearer x',
                         `Bearer ${TOKEN.slice(1)}x`, `Basic ${TOKEN}`]) {
      const headers = value === undefined ? {} : {authorization: value};
      for (const target of ['/state', '/log', '/nothing', '/bind'])
        await is(ask(d.ctl, 'GET', target, {headers}), 401);
    }
    await is(ask(d.ctl, 'GET', '/healthz'), 200);
    const m = await ask(d.ctl, 'GET', '/metrics');
    assert.match(m.body, /^drone_binds_total 0$/m);
    const log = d.output();
    assert(!log.includes(TOKEN));
  },

  async 'paths, methods, sizes'() {
    const d = await new Drone('paths').start();
    await is(d.agent('GET', '/nothing'), 404);
    await is(d.agent('GET', '/state/'), 404);
    await is(d.agent('POST', '/state', '{}'), 405);
    await is(d.agent('GET', '/bind'), 405);
    await is(d.agent('GET', '/log?bytes=x'), 400);
    await is(d.agent('GET', '/log?bytes=0'), 400);
    await is(d.agent('GET', '/log?lines=1'), 400);
    const big = await d.agent('POST', '/bind', 'x'.repeat(300 * 1024));
    assert.strictEqual(big.status, 413);
    assert.strictEqual((await d.state()).claim, null);
  },

  async 'a wrong field is named'() {
    const d = await new Drone('fields').start();
    const {vm} = await d.state();
    const bind = {claim: hex(), epoch: 1, vm, app: 'shop', gen: 1};
    const bad = {
      claim: [null, 1, '', 'A'.repeat(32), 'a'.repeat(31), 'a'.repeat(33), {}],
      epoch: [null, 0, -1, '1', 1.5, 2 ** 60, []],
      vm: [null, 7, 'x', 'g'.repeat(32)],
      app: [null, 1, '', 'Shop', '-a', 'a-', 'a'.repeat(64), 'a_b', 'a/b', '1a'],
      gen: [null, -1, '1', 0.5]};
    for (const [field, values] of Object.entries(bad)) {
      for (const value of [...values, undefined]) {
        const a = await is(d.agent('POST', '/bind', {...bind, [field]: value}),
                           400);
        assert(a.error.includes(`"${field}"`), a.error);
      }
    }
    for (const body of ['', '[]', '{', 'null', '{"a":1,"a":2}', '\xff', '"x"',
                        '[' .repeat(100000)])
      await is(d.agent('POST', '/bind', body), 400);
    await is(d.agent('POST', '/bind', bind), 200);
    const run = {claim: bind.claim, command: 'sleep 60', env: {A: 'b'}};
    const wrong = {
      command: [null, '', 1, [], 'x'.repeat(20000)],
      env: [1, 'x', [], {'': 'x'}, {'1A': 'x'}, {'A-B': 'x'}, {A: 1}, {A: null},
            {'A=B': 'x'},
            Object.fromEntries([...Array(300).keys()].map(i => ['A' + i, 'x']))],
      memory_mb: [0, 7, '64', 1.5, 2 ** 40]};
    for (const [field, values] of Object.entries(wrong)) {
      for (const value of values) {
        const a = await is(d.agent('POST', '/start', {...run, [field]: value}),
                           400);
        assert(a.error.includes(`"${field}"`), a.error);
      }
    }
    const zero = `{"claim":"${bind.claim}","command":"a\\u0000b"}`;
    await is(d.agent('POST', '/start', zero), 400);
  },

  async 'the first bind wins, and again is the same'() {
    const d = await new Drone('first').start();
    const a = hex(), b = hex();
    let s = await is(d.bind(a, 1), 200);
    assert.deepStrictEqual([s.claim.id, s.claim.app, s.claim.epoch, s.claim.gen],
                           [a, 'shop', 1, 1]);
    await is(d.bind(a, 1), 200);
    s = await is(d.bind(b, 2), 409, 'claimed');
    assert.strictEqual(s.claim.id, a);
    await is(d.bind(a, 2), 409, 'claimed');
    await is(d.bind(a, 1, {vm: hex()}), 409, 'vm');
    await is(d.run(b, 'x'), 409, 'claim');
    await is(d.unbind(b, 9), 409, 'claimed');
    await is(d.agent('POST', '/fence', {epoch: 9, vm: s.vm}), 409, 'claimed');
    await is(d.agent('POST', '/fence', {epoch: 9, vm: hex()}), 409, 'vm');
  },

  async 'of many binds at once exactly one is told yes'() {
    const d = await new Drone('race').start();
    const {vm} = await d.state();
    for (let round = 1; round <= 10; round++) {
      const claims = [...Array(20)].map(hex);
      const answers = await Promise.all(
          claims.map(c => d.bind(c, round, {vm})));
      const yes = claims.filter((c, i) => answers[i].status === 200);
      assert.strictEqual(yes.length, 1);
      for (const a of answers)
        assert.strictEqual(a.json.claim.id, yes[0]);
      await is(d.unbind(yes[0], round), 200);
    }
  },

  async 'fence and unbind keep late binds out'() {
    const d = await new Drone('late').start();
    const {vm} = await d.state();
    let s = await is(d.agent('POST', '/fence', {epoch: 5, vm}), 200);
    assert.strictEqual(s.fence, 5);
    await is(d.bind(hex(), 5), 409, 'fenced');
    const late = hex();
    s = await is(d.unbind(late, 8), 200);
    assert.strictEqual(s.fence, 8);
    await is(d.bind(late, 8), 409, 'fenced');
    await is(d.bind(late, 9), 200);
    await is(d.unbind(late, 1), 200);
    await is(d.bind(late, 9), 409, 'fenced');
    s = await is(d.unbind(late, 9), 200);
    assert.strictEqual(s.claim, null);
  },

  async 'start is one command'() {
    const d = await new Drone('start').start();
    const a = hex();
    await is(d.bind(a), 200);
    await is(d.run(a, 'sleep 100', {env: {A: '1', B: '2'}}), 202);
    const s = await is(d.run(a, 'sleep 100', {env: {B: '2', A: '1'}}), 202);
    assert.strictEqual(s.app.restarts, 0);
    await is(d.run(a, 'sleep 101', {env: {A: '1', B: '2'}}), 409, 'command');
    await is(d.run(a, 'sleep 100', {env: {A: '1'}}), 409, 'command');
    await is(d.run(a, 'sleep 100', {env: {A: '1', B: '2'}, memory_mb: 99}), 409,
             'command');
    await is(d.unbind(a), 200);
  },

  async 'a disk that fails holds nothing'() {
    for (const [fault, status] of [['ENOSPC', 507], ['EROFS', 500]]) {
      for (const point of ['store.write', 'store.fsync', 'store.rename',
                           'store.dirsync']) {
        const d = await new Drone('disk').start();
        const before = await d.state();
        await d.end();
        // A failing disk cannot begin a life, but one that has begun goes on.
        await d.start({hooked: true, env: {DRONE_FAIL: `${point}:${fault}`}});
        const s = await is(d.bind(hex()), status, 'disk');
        assert.match(s.error, /could not be written/);
        assert.strictEqual(s.claim, null);
        await is(d.unbind(hex(), 4), status, 'disk');
        assert.strictEqual((await d.state()).fence, 0);
        await d.end();
        await d.start();
        const after = await d.state();
        assert.strictEqual(after.claim, null);
        assert.strictEqual(after.vm, before.vm);
      }
    }
  },

  async '2,000 bodies of nonsense'() {
    const d = await new Drone('fuzz').start();
    const {vm} = await d.state();
    const agent = new (require('http').Agent)({keepAlive: true, maxSockets: 4});
    let seed = 20240607;
    const random = n => (seed = (seed * 1103515245 + 12345) % 2147483648,
                         Math.floor(seed / 65536) % n);
    const junk = [null, true, false, -1, 0, 2 ** 60, 1e308, '', 'a', vm,
                  '\u0000', '\ud800', 'x'.repeat(5000), [], {}, [[]], {a: {}}];
    const names = ['claim', 'epoch', 'vm', 'app', 'gen', 'command', 'env',
                   'memory_mb', '', '__proto__', 'x'];
    const jobs = [];
    const counts = {};
    const one = async () => {
      const target = ['/bind', '/start', '/unbind', '/fence'][random(4)];
      const body = {};
      for (let n = random(8); n > 0; n--)
        body[names[random(names.length)]] = junk[random(junk.length)];
      let text = JSON.stringify(body);
      if (random(3) === 0)
        text = text.slice(0, random(text.length + 1));
      if (random(4) === 0) {
        const at = random(text.length + 1);
        text = text.slice(0, at) + String.fromCharCode(random(256)) +
            text.slice(at);
      }
      const a = await ask(d.ctl, 'POST', target, {
        headers: {authorization: `Bearer ${TOKEN}`}, agent,
        body: Buffer.from(text, 'latin1')});
      counts[a.status] = (counts[a.status] || 0) + 1;
      assert(a.status >= 400 && a.status < 500, `${a.status} to ${text}`);
      assert(a.json.error.length > 8, a.body);
    };
    for (let i = 0; i < 4; i++)
      jobs.push((async () => { for (let n = 0; n < 500; n++) await one(); })());
    await Promise.all(jobs);
    agent.destroy();
    assert.strictEqual(counts[400], 2000, JSON.stringify(counts));
    const s = await d.state();
    assert.strictEqual(s.claim, null);
    assert.strictEqual(s.fence, 0);
    assert.deepStrictEqual(await d.end(), {code: 0, signal: null});
  }
};
main(tests);
