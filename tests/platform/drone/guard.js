// The guard: who is let in, what is said, and that nothing of one claim is ever
// seen under another.
'use strict';
const http = require('http');
const net = require('net');
const {Drone, alive, app, ask, assert, hex, main, marked,
       sleep, until} = require('./harness.js');

// A plain connection: everything that came, and whether it has ended.
function dial(address) {
  const [host, port] = address.split(':');
  const c = net.connect({host, port: +port, allowHalfOpen: true});
  c.text = '';
  c.over = false;
  c.setEncoding('latin1');
  c.on('data', d => c.text += d);
  c.on('end', () => c.over = true);
  c.on('close', () => c.over = true);
  c.on('error', () => c.over = true);
  return c;
}

// Upgrades to a socket that sends back what comes; and plain answers.
const ECHO = app(`
  if (q.url === '/slow') { r.write('begun '); return; }
  if (q.url === '/own') {
    r.setHeader('X-Drone-Claim', 'evil/0'); r.setHeader('x-drone-other', 'x');
    r.end(JSON.stringify(q.headers)); return; }
  let n = 0; q.on('data', d => n += d.length);
  q.on('end', () => r.end(process.env.WHO + ' ' + n));
`);
const WEBSOCKET = app(`r.end('plain'); }); server.on('upgrade', (q, s) => {
  s.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n' +
          'Connection: Upgrade\\r\\nX-Drone-Claim: evil/0\\r\\n\\r\\n');
  s.pipe(s); s.on('error', () => {});
`);

// Connections that the app has with its drone, by what the kernel says.
function connections(d) {
  const port = /PORT=(\d+)/.exec(marked(d.dir).map(p => require('fs')
      .readFileSync(`/proc/${p.pid}/environ`, 'latin1')).join())[1];
  const end = `0100007F:${(+port).toString(16).toUpperCase().padStart(4, '0')}`;
  return require('fs').readFileSync('/proc/net/tcp', 'latin1').split('\n')
      .map(l => l.trim().split(/\s+/))
      .filter(w => w[1] === end && w[3] === '01').length;
}

const tests = {
  async 'without the claim that is held nobody is let in'() {
    const d = await new Drone('misdirected').start();
    const claim = hex();
    let a = await d.visit(claim);
    assert.deepStrictEqual([a.status, a.headers['x-drone-claim']],
                           [421, undefined]);
    await d.serving(claim, ECHO, {env: {WHO: 'shop'}});
    const right = `shop/${claim}`;
    const wrong = [undefined, '', claim, 'shop/', `Shop/${claim}`,
                   `shop/${claim}x`, `shop/${hex()}`, `blog/${claim}`,
                   `shop/${claim},shop/${claim}`, [right, right],
                   [right, `blog/${claim}`], `shop/${claim.toUpperCase()}`];
    for (const value of wrong) {
      for (const target of ['/', '/.well-known/drone']) {
        const headers = value === undefined ? {} : {'x-drone-claim': value};
        a = await ask(d.guard, 'GET', target, {headers});
        assert.strictEqual(a.status, 421, String(value));
        assert.strictEqual(a.headers['x-drone-claim'], right);
        assert(!a.body.includes('shop'));
      }
    }
    assert.match((await ask(d.ctl, 'GET', '/metrics')).body,
                 new RegExp(`^drone_misdirected_total ${1 + 2 * wrong.length}$`,
                            'm'));
    a = await d.visit(claim);
    assert.deepStrictEqual([a.status, a.body, a.headers['x-drone-claim']],
                           [200, 'shop 0', right]);
  },

  async 'the app neither sees nor says a claim'() {
    const d = await new Drone('strip').start();
    const claim = hex();
    await d.serving(claim, ECHO);
    const a = await d.visit(claim, '/own', {headers: {'X-DRONE-Thing': 'x',
                                                      'x-other': 'y'}});
    assert.strictEqual(a.headers['x-drone-claim'], `shop/${claim}`);
    assert.strictEqual(a.headers['x-drone-other'], undefined);
    const seen = JSON.parse(a.body);
    assert.deepStrictEqual(Object.keys(seen).filter(h => /drone/i.test(h)), []);
    assert.strictEqual(seen['x-other'], 'y');
  },

  async 'health is what the app says by taking a connection'() {
    const d = await new Drone('health').start();
    const claim = hex();
    await d.serving(claim, app(`
      if (q.url === '/deaf') { server.close(); r.setHeader('connection',
        'close'); } r.end('x');`));
    let a = await d.visit(claim, '/.well-known/drone');
    assert.deepStrictEqual([a.status, a.body], [200, 'running\n']);
    assert.strictEqual(a.headers['x-drone-claim'], `shop/${claim}`);
    await d.visit(claim, '/deaf');
    a = await until('it is not well', async () => {
      const now = await d.visit(claim, '/.well-known/drone');
      return now.status === 503 && now;
    });
    assert.strictEqual(a.headers['x-drone-claim'], `shop/${claim}`);
  },

  async 'bodies go through, also large ones'() {
    const d = await new Drone('bodies').start();
    const claim = hex();
    await d.serving(claim, ECHO, {env: {WHO: 'me'}});
    const a = await d.visit(claim, '/', {method: 'POST',
                                         body: Buffer.alloc(3 << 20, 'x')});
    assert.strictEqual(a.body, `me ${3 << 20}`);
  },

  async 'a head that is refused has the echo, too'() {
    const d = await new Drone('refused').start();
    const claim = hex();
    await d.bind(claim);
    for (const [bytes, status] of [
      ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
      ['GET / HTTP/1.1\r\n\r\n', 400],
      ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n' +
       'Transfer-Encoding: chunked\r\n\r\n', 400],
      [`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20000)}\r\n\r\n`, 431]]) {
      const c = dial(d.guard);
      c.write(bytes);
      await until('it is refused', () => c.over);
      assert.match(c.text, new RegExp(`^HTTP/1.1 ${status} `));
      assert(c.text.includes(`X-Drone-Claim: shop/${claim}\r\n`), c.text);
      assert(c.text.includes('X-Drone-Error: refused\r\n'), c.text);
      c.destroy();
    }
  },

  // What visitors see without the third rule; only in the tests' program.
  async 'the naive way: everybody is let in, and hears what he asked for'() {
    const d = await new Drone('naive').start(
        {hooked: true, args: ['--naive', 'noguard']});
    const claim = hex(), other = hex();
    await d.serving(claim, ECHO, {env: {WHO: 'shop'}});
    const a = await d.visit(other);
    assert.deepStrictEqual(
        [a.status, a.body, a.headers['x-drone-claim']],
        [200, 'shop 0', `shop/${other}`]);
  },

  async 'a websocket, and its end by unbind'() {
    const d = await new Drone('socket').start({args: ['--drain-ms', '300ms']});
    const claim = hex();
    await d.serving(claim, WEBSOCKET);
    const open = value => {
      const c = dial(d.guard);
      c.write(`GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n` +
              `Connection: Upgrade\r\nX-Drone-Claim: ${value}\r\n\r\n`);
      return c;
    };
    const c = open(`shop/${claim}`);
    await until('it is open', () => c.text.includes('\r\n\r\n'));
    assert.match(c.text, /^HTTP\/1.1 101 /);
    assert(c.text.includes(`X-Drone-Claim: shop/${claim}\r\n`), c.text);
    assert(!c.text.includes('evil'), c.text);
    c.text = '';
    c.write('\x81\x05hello', 'latin1');
    await until('it comes back', () => c.text === '\x81\x05hello');
    const refused = open(`blog/${claim}`);
    await until('refused', () => refused.text.includes('\r\n\r\n'));
    assert.match(refused.text, /^HTTP\/1.1 421 /);
    refused.destroy();
    await d.unbind(claim);
    await until('it is cut', () => c.over);
    c.destroy();
  },

  async 'a kept connection does not keep a claim'() {
    const d = await new Drone('kept').start();
    const agent = new http.Agent({keepAlive: true, maxSockets: 1});
    const first = hex(), second = hex();
    await d.serving(first, ECHO, {env: {WHO: 'first'}});
    let a = await d.visit(first, '/', {agent});
    assert.strictEqual(a.body, 'first 0');
    await d.unbind(first);
    a = await d.visit(first, '/', {agent});
    assert.deepStrictEqual([a.status, a.headers['x-drone-claim']],
                           [421, undefined]);
    await d.bind(second, 2, {app: 'blog'});
    await d.run(second, ECHO, {env: {WHO: 'second'}});
    await d.becomes('running');
    a = await d.visit(first, '/', {agent});
    assert.deepStrictEqual([a.status, a.headers['x-drone-claim']],
                           [421, `blog/${second}`]);
    a = await ask(d.guard, 'GET', '/', {
      agent, headers: {'x-drone-claim': `blog/${second}`}});
    assert.strictEqual(a.body, 'second 0');
    agent.destroy();
  },

  async 'an answer under way is cut by unbind, not finished by another'() {
    const d = await new Drone('cut').start(
        {args: ['--stop-ms', '200ms', '--drain-ms', '300ms']});
    const claim = hex();
    await d.serving(claim, ECHO);
    const c = dial(d.guard);
    c.write(`GET /slow HTTP/1.1\r\nHost: a\r\nX-Drone-Claim: shop/${claim}\r\n` +
            '\r\n');
    await until('it has begun', () => c.text.includes('begun'));
    await d.unbind(claim);
    await until('it is cut', () => c.over);
    assert(!c.text.endsWith('0\r\n\r\n'), 'it looks whole');
    c.destroy();
  },

  async 'who is there when a claim ends is let finish'() {
    const d = await new Drone('finish').start();
    const claim = hex();
    await d.serving(claim, app(`setTimeout(() => r.end('late'), 700)`));
    const visits = [...Array(5)].map(() => d.visit(claim));
    await until('all are on their way', () => connections(d) === 5);
    const unbound = d.unbind(claim);
    await until('others are turned away', async () =>
        (await d.visit(claim)).status === 421);
    for (const v of await Promise.all(visits))
      assert.deepStrictEqual([v.status, v.body, v.headers['x-drone-claim']],
                             [200, 'late', `shop/${claim}`]);
    assert.strictEqual((await unbound).json.claim, null);
  },

  async 'visitors who come while claims change see their own app or none'() {
    const d = await new Drone('change').start({args: ['--stop-ms', '200ms']});
    const claims = new Map();
    let open = true, served = 0;
    const visitor = async () => {
      const agent = new http.Agent({keepAlive: true, maxSockets: 1});
      while (open) {
        const all = [...claims.keys()];
        const claim = all[Math.floor(Math.random() * all.length)];
        if (claim === undefined) {
          await sleep(5);
          continue;
        }
        try {
          const a = await d.visit(claim, '/', {agent});
          if (a.status === 200) {
            served++;
            assert.strictEqual(a.body, `${claim} 0`);
            assert.strictEqual(a.headers['x-drone-claim'], `shop/${claim}`);
          } else {
            assert([421, 502, 503].includes(a.status), String(a.status));
          }
        } catch (e) {
          if (e.code !== 'ECONNRESET')
            throw e;
        }
      }
      agent.destroy();
    };
    const visitors = [...Array(6)].map(visitor);
    let failure = null;
    for (const v of visitors)
      v.catch(e => failure = e);
    for (let i = 1; i <= 8 && failure === null; i++) {
      const claim = hex();
      claims.set(claim, true);
      await d.bind(claim, i);
      await d.run(claim, ECHO, {env: {WHO: claim}});
      await d.becomes('running');
      const before = served;
      await until('visits', () => served > before + 20 || failure !== null);
      await d.unbind(claim, i);
    }
    open = false;
    await Promise.all(visitors);
  },

  async 'slow heads and too many connections'() {
    const d = await new Drone('slow').start({args: ['--connections', '20']});
    const claim = hex();
    await d.serving(claim, ECHO, {env: {WHO: 'me'}});
    const slow = [...Array(30)].map(() => dial(d.guard));
    for (const c of slow)
      c.write('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ');
    const drip = setInterval(() => slow.forEach(
        c => c.destroyed || c.over || c.write('x')), 500);
    await until('those over 20 are turned away',
                () => slow.filter(c => c.over).length >= 10, 8000);
    assert(slow.some(c => !c.over), 'the others have their time');
    // The head's time is 10 s for all of it, however it drips.
    await until('all are turned away', () => slow.every(c => c.over), 20000);
    clearInterval(drip);
    assert(slow.some(c => c.text.startsWith('HTTP/1.1 408 ')));
    slow.forEach(c => c.destroy());
    assert.strictEqual((await d.visit(claim)).status, 200);
  },

  async 'SIGTERM lets a visitor finish'() {
    const d = await new Drone('drain').start();
    const claim = hex();
    await d.serving(claim, app(`setTimeout(() => r.end('late'), 700)`));
    const a = d.visit(claim);
    await until('it is on its way', () => connections(d) === 1);
    const end = d.end();
    assert.strictEqual((await a).body, 'late');
    assert.deepStrictEqual(await end, {code: 0, signal: null});
  }
};
main(tests);
