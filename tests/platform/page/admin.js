// The admin face, over real sockets: what it answers to whom, who waits and who
// goes, and what it takes when many ask.
'use strict';
const fs = require('fs');
const {CLAIM, World, assert, instrumented, main, until} = require('./world.js');

const world = options => new World().start(options);

// How many wait for a route.
const waiting = w => w.metric('balancer_admin_waiting');

const tests = {
  async before_it_is_attached_it_says_so() {
    const w = await world({attach: false});
    assert.strictEqual((await w.ask('/')).status, 200);
    assert.strictEqual((await w.ask('/metrics')).status, 200);
    const health = await w.ask('/healthz');
    assert.strictEqual(health.status, 503);
    assert.strictEqual(health.body, 'it is starting\n');
    for (const path of ['/status', '/routes', '/route/a', '/digest', '/diff']) {
      const answer = await w.ask(path);
      assert.strictEqual(answer.status, 503, path);
      assert.match(answer.json.error, /starting/);
      assert.strictEqual(answer.headers['retry-after'], '1');
    }
    await w.do('attach');
    assert.strictEqual((await w.ask('/status')).status, 200);
  },

  async health_is_whether_visitors_are_served() {
    const w = await world();
    const health = async () => {
      const {status, body} = await w.ask('/healthz');
      return [status, body.split('\n').slice(0, -1)];
    };
    assert.deepStrictEqual(await health(), [200, ['ok']]);
    // What does not keep visitors out is a warning.
    await w.do('status', {stale: true, fresh_ms: 21000, trouble: 'it is away',
                          unproven: 2, unreadable: 3, older: 4, repairs: 5,
                          source: 1});
    await w.do('peers', {list: [
      {id: 'b2', admin: '127.0.0.1:2', drifted: true, trouble: 'shop differs'},
      {id: 'b3', admin: '127.0.0.1:3', answers: false, trouble: 'refused'}]});
    const [status, lines] = await health();
    assert.strictEqual(status, 200);
    assert.strictEqual(lines.shift(), 'ok');
    for (const word of ['snapshot', 'stale: .* 21 s', 'feed: it is away',
                        '2 routes', '3 documents', '4 routes', '5 routes',
                        'drift: b2 .*shop', 'b3 does not answer: refused']) {
      const line = lines.shift();
      assert.match(line, new RegExp(`^warning: .*${word}`));
    }
    assert.deepStrictEqual(lines, []);
    // What does is not.
    await w.do('engine', {trouble: 'its socket is away'});
    assert.match((await health())[1][0], /^the engine fake: its socket is away/);
    assert.strictEqual((await health())[0], 503);
    await w.do('engine', {trouble: ''});
    assert.strictEqual((await health())[0], 200);
    await w.do('ready', {is: false});
    assert.strictEqual((await health())[0], 503);
    assert.match((await health())[1][0], /^there is no table/);
  },

  async a_route_is_served_or_it_is_said_why_not() {
    const w = await world();
    await w.put('shop', {claim: 7, hosts: ['shop.example', 'www.shop.example'],
                         to: ['127.1.0.7:40', '127.1.0.8:40']});
    await w.put('wild', {hosts: ['*.wild.example']});
    await w.put('queued', {state: 'queued', to: []});
    await w.put('moving', {state: 'starting'});
    await w.put('stopped', {state: 'stopped', code: 'user', msg: '"so" it <is>'});
    await w.put('closed', {maintenance: 'We paint the walls'});
    const ok = await w.ask('/route/shop.example');
    assert.strictEqual(ok.status, 200);
    assert.deepStrictEqual(ok.json, {
      host: 'shop.example', app: 'shop', gen: 1, state: 'live', code: '',
      msg: '', closed: false, hosts: ['shop.example', 'www.shop.example'],
      to: [{addr: '127.1.0.7:40', claim: CLAIM(7)},
           {addr: '127.1.0.8:40', claim: CLAIM(7)}],
      served: true, applied: true, why: ''});
    const claim = `claim=${CLAIM(7)}`;
    for (const [target, status, why] of [
      [`shop.example?${claim}`, 200], [`SHOP.example.:8080?${claim}`, 200],
      [`www.shop%2eexample?claim=&wait=0`, 200],
      [`shop.example?claim=${CLAIM(8)}`, 404, /another claim/],
      ['%2A.wild.example', 200], ['a.b.wild.example', 200],
      ['moving.example', 200], ['closed.example', 200],
      ['queued.example', 404, /no drone/], ['stopped.example', 404, /no drone/],
      ['nobody.example', 404, /no app has/],
      ['shop.example.org', 404, /no app has/]]) {
      const answer = await w.ask(`/route/${target}`);
      assert.strictEqual(answer.status, status, target);
      assert.match(answer.json.why, why || /^$/, target);
      assert.strictEqual(answer.json.served, status === 200);
    }
    const none = (await w.ask('/route/nobody.example')).json;
    assert.deepStrictEqual([none.app, none.gen, none.to], [null, null, []]);
    const stopped = (await w.ask('/route/stopped.example')).json;
    assert.strictEqual(stopped.msg, '"so" it <is>');
    const closed = (await w.ask('/route/closed.example')).json;
    assert.deepStrictEqual([closed.closed, closed.msg],
                           [true, 'We paint the walls']);
    await w.do('engine', {applied: false});
    const late = await w.ask(`/route/shop.example?${claim}`);
    assert.strictEqual(late.status, 404);
    assert.match(late.json.why, /not in force/);
    assert.strictEqual(late.json.applied, false);
    await w.do('ready', {is: false});
    assert.match((await w.ask('/route/nobody.example')).json.why, /no table/);
  },

  async who_waits_is_told_when_it_is_so() {
    const w = await world();
    const target = `/route/shop.example?claim=${CLAIM(2)}&wait=60`;
    const began = Date.now();
    const answers = [w.ask(target), w.ask(target),
                     w.ask(target, {method: 'HEAD'})];
    await until('they wait', async () => await waiting(w) === 3);
    await w.put('shop', {claim: 1}); // not what is waited for
    await w.do('engine', {applied: false});
    await w.put('shop', {claim: 2, gen: 2}); // but not in force
    await w.ask('/healthz'); // the loop has come round
    assert.strictEqual(await waiting(w), 3);
    await w.do('engine', {applied: true});
    for (const answer of await Promise.all(answers))
      assert.strictEqual(answer.status, 200);
    assert.strictEqual((await answers[0]).json.gen, 2);
    assert.strictEqual((await answers[2]).body, '');
    assert.ok(Date.now() - began < 50000, 'told before the time was over');
    assert.strictEqual(await waiting(w), 0);
  },

  async who_waits_in_vain_is_told_at_the_end() {
    const w = await world();
    await w.put('shop', {claim: 1});
    const began = Date.now();
    const [short, long] = [1, 3].map(s => w.ask(
        `/route/shop.example?claim=${CLAIM(9)}&wait=${s}`).then(answer => {
          answer.took = Date.now() - began;
          return answer;
        }));
    for (const [answer, ms] of [[await short, 1000], [await long, 3000]]) {
      assert.strictEqual(answer.status, 404);
      assert.strictEqual(answer.json.to[0].claim, CLAIM(1));
      assert.ok(answer.took >= ms - 20, `${answer.took} of ${ms} ms`);
    }
    assert.ok((await short).took < (await long).took);
    assert.strictEqual(await waiting(w), 0);
  },

  async who_goes_is_forgotten_and_a_thousand_may_wait() {
    const w = await world();
    const request = 'GET /route/none.example?wait=60 HTTP/1.1\r\nHost: ' +
        'localhost\r\n\r\n';
    const sockets = [];
    for (let i = 0; i < 1000; i++) {
      sockets.push(w.dial());
      sockets[i].write(request);
    }
    await until('1000 wait', async () => await waiting(w) === 1000);
    const more = await w.ask('/route/none.example?wait=1');
    assert.strictEqual(more.status, 503);
    assert.match(more.json.error, /1000 requests wait/);
    // others are served, also while each change looks at all of them
    for (let i = 0; i < 50; i++)
      await w.put('shop', {gen: i + 1});
    assert.strictEqual((await w.ask('/route/shop.example?wait=60')).status, 200);
    for (const socket of sockets.splice(0, 900))
      socket.destroy();
    await until('100 wait', async () => await waiting(w) === 100);
    let told = 0;
    for (const socket of sockets)
      socket.on('data', data => told += /^HTTP\/1.1 200 /.test(data));
    await w.put('none');
    await until('the others are told', () => told === 100);
    for (const socket of sockets)
      socket.destroy();
  },

  async who_waits_is_told_that_it_ends() {
    const w = await world();
    const answer = w.ask('/route/none.example?wait=60');
    await until('one waits', async () => await waiting(w) === 1);
    await w.do('detach');
    assert.strictEqual((await answer).status, 503);
    assert.match((await answer).json.error, /ends/);
    assert.match((await w.ask('/healthz')).body, /^it ends/);
    assert.strictEqual((await w.ask('/status')).status, 503);
    assert.strictEqual((await w.ask('/metrics')).status, 200);
  },

  async routes_are_told_in_order_and_in_pages() {
    const w = await world();
    assert.deepStrictEqual((await w.ask('/routes')).json,
                           {routes: [], next: null});
    await w.do('pile', {count: 2500});
    await w.put('zebra', {msg: 'caf\u00e9 "\u{1f41d}"', state: 'failed'});
    const all = (await w.ask('/routes?limit=10000')).json;
    assert.strictEqual(all.next, null);
    assert.strictEqual(all.routes.length, 2501);
    assert.deepStrictEqual(all.routes.map(r => r.app).sort(),
                           all.routes.map(r => r.app));
    assert.strictEqual(all.routes[2500].msg, 'caf\u00e9 "\u{1f41d}"');
    assert.strictEqual(all.routes[0].rev, '1-0123456789abcdef0123456789abcdef');
    const paged = [];
    let pages = 0;
    for (let from = ''; from !== null; pages++) {
      const page = (await w.ask(`/routes?limit=500&from=${from}&to=`)).json;
      paged.push(...page.routes);
      from = page.next;
    }
    assert.deepStrictEqual(paged, all.routes);
    assert.strictEqual(pages, 6);
    assert.strictEqual((await w.ask('/routes')).json.routes.length, 1000);
    const part = (await w.ask('/routes?from=app-000010&to=app-000013')).json;
    assert.deepStrictEqual(part.routes.map(r => r.app),
                           ['app-000010', 'app-000011', 'app-000012']);
    assert.strictEqual(part.next, null);
    // exactly as many as were asked for, and no more behind them
    const last = (await w.ask('/routes?from=app-002499&limit=2')).json;
    assert.deepStrictEqual([last.routes.length, last.next], [2, null]);
    assert.strictEqual((await w.ask('/routes?from=%7B')).json.routes.length, 0);
    const head = await w.ask('/routes?limit=10000', {method: 'HEAD'});
    assert.deepStrictEqual([head.status, head.body], [200, '']);
  },

  async routes_are_searched_piece_by_piece() {
    const w = await world();
    await w.do('pile', {count: 25000});
    await w.put('shop', {hosts: ['buy.example'], to: ['127.9.9.9:40']});
    const apps = async query => {
      const found = [];
      for (let from = ''; from !== null;) {
        const page = (await w.ask(`/routes?${query}&from=${from}`)).json;
        found.push(...page.routes.map(r => r.app));
        from = page.next;
      }
      return found;
    };
    assert.deepStrictEqual(await apps('search=shop'), ['shop']);
    assert.deepStrictEqual(await apps('search=buy.ex'), ['shop']);
    assert.deepStrictEqual(await apps('search=127.9.9.9%3A'), ['shop']);
    assert.deepStrictEqual(await apps('search=nothing'), []);
    assert.strictEqual((await apps('search=app-0001&limit=30')).length, 100);
    // one request looks through 20000, whatever it finds
    const first = (await w.ask('/routes?search=shop')).json;
    assert.deepStrictEqual(first, {routes: [], next: 'app-020000'});
  },

  async clients_that_do_not_read_cost_little() {
    const w = await world();
    await w.do('pile', {count: 3000, hosts: 16});
    const rss = () => +/VmRSS:\s+(\d+)/.exec(
        fs.readFileSync(`/proc/${w.child.pid}/status`, 'utf8'))[1] / 1024;
    const before = rss();
    const sockets = [];
    for (let i = 0; i < 12; i++) {
      const socket = w.dial();
      sockets.push(socket);
      socket.pause();
      socket.write('GET /routes?limit=10000 HTTP/1.1\r\nHost: localhost\r\n' +
          'Connection: close\r\n\r\n');
    }
    await until('all have asked', async () =>
        await w.metric('balancer_admin_requests_total') >= 12);
    const whole = (await w.ask('/routes?limit=10000')).body.length;
    // More than the kernel keeps for each; it is written as it is read.
    assert.ok(whole > 11e6, `${whole} bytes`);
    if (!instrumented)
      assert.ok(rss() - before < 30, `${rss() - before} MB more`);
    for (const socket of sockets.splice(0, 8))
      socket.destroy();
    // and those who read late get all of it
    const ends = await Promise.all(sockets.map(socket => new Promise(done => {
      let tail = '', bytes = 0;
      socket.setEncoding('latin1');
      socket.on('data', piece => {
        tail = (tail + piece).slice(-200);
        bytes += piece.length;
      });
      socket.on('end', () => done([tail, bytes]));
      socket.resume();
    })));
    for (const [tail, bytes] of ends) {
      assert.match(tail, /"next":null}\n\r\n0\r\n\r\n$/);
      assert.ok(bytes > whole, `${bytes} of ${whole} bytes`);
    }
  },

  async digests_are_of_the_range_asked_for() {
    const w = await world();
    const empty = (await w.ask('/digest')).json;
    assert.strictEqual(empty.digest, '0'.repeat(32));
    await w.do('pile', {count: 100});
    await w.do('status', {stale: true, fresh_ms: 99, source: 1, synced: false});
    const all = (await w.ask('/digest?from=&to=')).json;
    assert.deepStrictEqual(all, {
      id: 'b1', boot: '0123456789abcdef0123456789abcdef', version: '1.2.3',
      digest: all.digest, routes: 100, source: 'snapshot', synced: false,
      fresh_ms: 99, stale: true});
    assert.match(all.digest, /^[0-9a-f]{32}$/);
    // the sum of two halves is the whole, modulo 2^128
    const half = async range => {
      const {digest, routes} = (await w.ask(`/digest?${range}`)).json;
      return [BigInt(`0x${digest}`), routes];
    };
    const [[low, lows], [high, highs]] = [await half('to=app-000040'),
                                          await half('from=app-000040')];
    assert.deepStrictEqual([lows, highs], [40, 60]);
    assert.strictEqual((low + high) % (1n << 128n), BigInt(`0x${all.digest}`));
  },

  async peers_that_are_known_are_compared_with() {
    const w = await world();
    await w.do('peers', {list: [{id: 'b2', admin: '127.0.0.1:2'}]});
    for (const peer of ['', 'peer=', 'peer=b3', 'peer=http://127.0.0.1:3',
                        'peer=http://127.0.0.1:2@evil.example',
                        'peer=file:///etc/passwd', 'peer=127.0.0.1:22'])
      assert.strictEqual((await w.ask(`/diff?${peer}`)).status,
                         peer.length > 5 ? 404 : 400, peer);
    for (const peer of ['b2', '127.0.0.1:2', 'http://127.0.0.1:2',
                        'http%3A%2F%2F127.0.0.1%3A2/']) {
      const same = await w.ask(`/diff?peer=${peer}`);
      assert.strictEqual(same.status, 200, peer);
      assert.deepStrictEqual(same.json, {peer: 'http://127.0.0.1:2', same: true,
                                         differences: [], more: false});
    }
    await w.do('diff', {count: 2});
    const differs = (await w.ask('/diff?peer=b2')).json;
    assert.deepStrictEqual(differs, {
      peer: 'http://127.0.0.1:2', same: false, more: false, differences: [
        {app: 'app-0', mine: `1-${w.url}`, theirs: '2-http://127.0.0.1:2'},
        {app: 'app-1', mine: `1-${w.url}`, theirs: null}]});
    await w.do('diff', {count: 1001});
    const many = (await w.ask('/diff?peer=b2')).json;
    assert.deepStrictEqual([many.differences.length, many.more], [1000, true]);
    await w.do('diff', {count: -1, error: 'it answers 500'});
    const broken = await w.ask('/diff?peer=b2');
    assert.strictEqual(broken.status, 502);
    assert.match(broken.json.error, /127\.0\.0\.1:2 .*: it answers 500/);
  },

  async comparisons_are_few_and_their_askers_may_go() {
    const w = await world();
    await w.do('peers', {list: [{id: 'b2', admin: '127.0.0.1:2'}]});
    await w.do('diff', {hold: true, count: 0});
    const gone = new AbortController();
    const first = w.ask('/diff?peer=b2', {signal: gone.signal})
        .catch(e => e.name);
    const second = w.ask('/diff?peer=b2');
    const comparing = count => until(`${count} run`, async () =>
        await w.metric('balancer_admin_comparing') === count);
    await comparing(2);
    assert.strictEqual((await w.ask('/diff?peer=b2')).status, 503);
    gone.abort();
    assert.strictEqual(await first, 'AbortError');
    assert.strictEqual((await w.ask('/healthz')).status, 200);
    await w.do('release');
    assert.strictEqual((await second).status, 200);
    assert.strictEqual((await w.ask('/diff?peer=b2')).status, 200);
    await comparing(0); // that of who has gone, too
    // the end waits for what runs, and the asker is cut off
    await w.do('diff', {hold: true});
    const cut = w.ask('/diff?peer=b2').catch(e => e.code);
    await comparing(1);
    await w.do('close');
    assert.match(await cut, /ECONNRESET/);
    await w.do('release');
    assert.strictEqual(await w.line(), 'closed');
  },

  async an_audit_is_begun_by_post() {
    const w = await world();
    const get = await w.ask('/audit');
    assert.deepStrictEqual([get.status, get.headers.allow], [405, 'POST']);
    const post = (headers = {}) => w.ask('/audit', {method: 'POST', headers});
    assert.strictEqual((await post()).status, 202);
    const own = {origin: w.url, host: w.address};
    assert.strictEqual((await post(own)).status, 202);
    // a page of somebody else's may not
    for (const origin of ['http://evil.example', 'null', `${w.url}0`,
                          'http://localhost'])
      assert.strictEqual((await post({origin})).status, 403, origin);
    await w.do('audit', {is: false});
    const busy = await post();
    assert.strictEqual(busy.status, 409);
    assert.match(busy.json.error, /runs already/);
  },

  async the_status_tells_all() {
    const w = await world();
    await w.put('shop');
    await w.put('twice', {hosts: ['shop.example']});
    await w.do('engine', {requests: 1000, connections: 12, waiting: 3});
    await w.do('notice', {full: true, msg: 'back at <noon>'});
    await w.do('status', {lag_p99_ms: 40, changes: 9, trouble: 'a "sentence"'});
    await w.do('peers', {list: [
      {id: 'b2', admin: '127.0.0.1:2', digest: 'f'.repeat(32), drifted: true,
       routes: 1, version: '1', source: 'database', fresh_ms: 5}]});
    await w.do('errors', {code: 'E06', count: 5});
    const s = (await w.ask('/status')).json;
    assert.deepStrictEqual(
        [s.id, s.version, s.ready, s.routes, s.hosts, s.drifted, s.source],
        ['b1', '1.2.3', true, 2, 1, true, 'database']);
    assert.deepStrictEqual(s.engine, {
      name: 'fake', address: '127.0.0.1:80', trouble: '', connections: 12,
      requests: 1000, waiting: 3});
    assert.deepStrictEqual(s.maintenance, {full: true, msg: 'back at <noon>'});
    assert.deepStrictEqual([s.feed.lag_p99_ms, s.feed.shadowed, s.feed.trouble],
                           [40, 1, 'a "sentence"']);
    assert.strictEqual(s.peers.length, 1);
    assert.strictEqual(s.peers[0].digest, 'f'.repeat(32));
    assert.strictEqual(s.errors.E06, 5);
    assert.strictEqual(Object.keys(s.errors).length, 17);
    assert.deepStrictEqual(s.troubles, []);
    assert.strictEqual(s.warnings.length, 3);
  },

  async rates_and_the_curve_follow_what_is_counted() {
    const w = await world();
    const sum = numbers => numbers.reduce((a, b) => a + b, 0);
    let counted = 0;
    const s = await until('three seconds are counted', async () => {
      counted += 100;
      await w.do('engine', {requests: counted});
      await w.do('errors', {code: 'E01', count: 1});
      const {json} = await w.ask('/status');
      return json.history.requests.length >= 3 &&
          json.rates.requests_per_s > 0 && json;
    });
    assert.strictEqual(s.history.errors.length, s.history.requests.length);
    assert.ok(s.rates.errors_per_s > 0);
    assert.ok(sum(s.history.requests) <= counted);
    assert.ok(sum(s.history.requests) > 0);
    // an engine that begins anew is no flood
    await w.do('engine', {requests: 0});
    const seen = s.history.requests.length;
    const later = await until('another second', async () => {
      const {json} = await w.ask('/status');
      return json.history.requests.length > seen + 1 && json;
    });
    assert.ok(later.history.requests.every(n => n >= 0 && n <= counted));
  },

  async a_shadow_has_no_engine() {
    const w = await world({attach: false});
    await w.do('shadow');
    await w.put('shop');
    assert.strictEqual((await w.ask('/status')).json.engine, null);
    const route = await w.ask('/route/shop.example');
    assert.deepStrictEqual([route.status, route.json.applied], [200, false]);
    assert.strictEqual((await w.ask('/healthz')).status, 200);
    assert.strictEqual((await w.ask('/diff?peer=b2')).status, 404);
  },

  async it_is_asked_by_our_names_only() {
    const w = await world();
    const port = w.address.split(':')[1];
    const status = async host =>
        (await w.ask('/status', {headers: {host}})).status;
    for (const host of [w.address, `localhost:${port}`, 'localhost', 'LocalHost',
                        '127.0.0.1', '10.1.2.3:80', '[::1]', '[::1]:80', 'b1',
                        `B1:${port}`, require('os').hostname()])
      assert.strictEqual(await status(host), 200, host);
    for (const host of ['evil.example', 'localhost.evil.example', 'b1.example',
                        '127.0.0.1.evil.example', 'localhost.', '1.2.3',
                        '127.0.0.1.nip.io', 'b2', '0x7f000001', '2130706433'])
      assert.strictEqual(await status(host), 421, host);
    assert.strictEqual(await w.metric('balancer_admin_refused_total'), 10);
  },

  async the_page_is_closed_to_others() {
    const w = await world();
    const page = await w.ask('/');
    assert.strictEqual(page.headers['content-type'], 'text/html; charset=utf-8');
    const policy = page.headers['content-security-policy'];
    assert.match(policy, /^default-src 'none'; /);
    assert.doesNotMatch(policy, /unsafe|\*|http/);
    const nonce = /script-src 'nonce-([0-9a-f]{32})'/.exec(policy)[1];
    assert.match(page.body, new RegExp(`<script nonce="${nonce}">`));
    assert.match(page.body, new RegExp(`<style nonce="${nonce}">`));
    assert.doesNotMatch(page.body, /\{\{|https?:/);
    assert.match(page.body, /<\/html>\n$/);
    assert.strictEqual(page.headers['x-frame-options'], 'DENY');
    assert.strictEqual(page.headers['cache-control'], 'no-store');
    assert.doesNotMatch((await w.ask('/')).body, new RegExp(nonce));
    const {headers} = await w.ask('/status');
    assert.strictEqual(headers['x-content-type-options'], 'nosniff');
    assert.strictEqual(headers['access-control-allow-origin'], undefined);
  },

  async wrong_use_is_named() {
    const w = await world();
    const nul = 'a'.repeat(256);
    for (const [target, status, what] of [
      ['/nothing', 404, /\/routes/], ['/status/', 404, /\/routes/],
      ['/route', 404, /\/routes/], ['//', 404, /\/routes/],
      ['/routes?limit=0', 400, /limit takes a number from 1 to 10000, not "0"/],
      ['/routes?limit=10001', 400, /limit/], ['/routes?limit=', 400, /limit/],
      ['/routes?limit=1e3', 400, /limit/], ['/routes?limit=-1', 400, /limit/],
      ['/routes?limit=9999999999999999999999', 400, /limit/],
      ['/routes?from=a&from=b', 400, /from is given twice/],
      ['/routes?form=a', 400, /"form" is no parameter/],
      ['/routes?fr%6fm=a', 200], ['/routes?&&from=a&', 200],
      // the head is refused already
      ['/routes?from=%zz', 400],
     
     ['/routes?from=%4', 400],
      ['/routes?from=a%00b', 400],
      ['/routes?from=a%0ab', 400, /value of from/],
      [`/routes?from=${nul}`, 400, /value of from/],
      ['/status?x', 400, /"x" is no parameter of this; there is none/],
      ['/route/', 400, /name of a host/], ['/route/a/b', 400, /name of a host/],
      ['/route/a%2Fb', 400, /name of a host/],
      ['/route/a%20b', 400, /name of a host/],
      [`/route/${nul}`, 400, /name of a host/],
      ['/route/%', 400],
      ['/route/a?wait=61', 400, /wait takes a number from 0 to 60/],
      ['/route/a?wait=x', 400, /wait/],
      ['/route/a?claim=x', 400, /32 hexadecimal/],
      [`/route/a?claim=${CLAIM(1)}0`, 400, /32 hexadecimal/],
      [`/route/a?claim=${'G'.repeat(32)}`, 400, /32 hexadecimal/]]) {
      const answer = await w.ask(target);
      assert.strictEqual(answer.status, status, target);
      if (what)
        assert.match((answer.json || {error: answer.body}).error, what, target);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const answer = await w.ask('/status', {method});
      assert.deepStrictEqual([answer.status, answer.headers.allow],
                             [405, 'GET, HEAD'], method);
    }
    assert.strictEqual((await w.ask('/', {method: 'HEAD'})).status, 200);
  },

  async an_address_that_cannot_be_listened_at_is_named() {
    const w = new World();
    await assert.rejects(w.start({listen: '192.0.2.1:80'}));
    assert.match(w.output(), /192\.0\.2\.1/);
    w.end = async () => ({code: 0, signal: null});
  },
};

main(tests);
