// The status page in a real browser: what it shows, that it follows what
// changes, and what it says when something is wrong. CFT_SCREENSHOTS=DIR: as
// pictures, too; that takes five minutes more.
'use strict';
const path = require('path');
const {World, assert, main, until} = require('./world.js');
const {Browser, find} = require('./browser.js');

if (find() === undefined) {
  console.log('SKIPPED: there is no Chromium (Debian: chromium)');
  process.exit(77);
}

const browser = new Browser();
const DIGEST = n => n.toString(16).padStart(32, '5');

// A world with something in it, and the page of it.
async function open({pile = 0, width = 1100, height = 900, ...options} = {}) {
  const w = await new World().start();
  await w.put('shop', {to: ['127.1.0.7:4000'], claim: 7,
                       hosts: ['shop.example', 'www.shop.example']});
  await w.put('blog', {to: ['127.1.0.8:4000'], claim: 8});
  await w.put('forum', {state: 'queued', to: [], msg: '3rd in the line'});
  if (pile)
    await w.do('pile', {count: pile});
  await w.do('status', {fresh_ms: 1200, changes: 3, lag_p99_ms: 42});
  if (browser.child === undefined)
    await browser.start();
  const page = await browser.open('about:blank');
  await page.size(width, height, options);
  await page.go(w.url);
  await page.until('the page has asked', `document.getElementById('name')
      .innerText === 'Balancer b1'`);
  return {w, page};
}

// Nothing was wrong in the console; then the page goes.
async function close(page, {but = []} = {}) {
  const wrong = page.wrong.filter(line => !but.some(ok => ok.test(line)));
  assert.deepStrictEqual(wrong, [], 'what the console says');
  await browser.close(page);
}

async function shoot(page, name) {
  if (process.env.CFT_SCREENSHOTS)
    await page.screenshot(path.join(process.env.CFT_SCREENSHOTS, name));
}

const shows = (page, id, pattern) => page.until(`${id} shows ${pattern}`,
    `${pattern}.test(document.getElementById('${id}').innerText)`);

// Of the colours a reader sees, as WCAG 2 counts: text on what is behind it.
const contrast = selector => `(() => {
  const numbers = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => {
    const [r, g, b] = numbers(c).slice(0, 3).map(v => (v /= 255) <= 0.03928
        ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let worst = 99;
  for (const at of document.querySelectorAll('${selector}')) {
    let behind = at;
    while (behind && (numbers(getComputedStyle(behind).backgroundColor)[3] === 0))
      behind = behind.parentElement;
    const two = [light(getComputedStyle(at).color),
                 light(getComputedStyle(behind || document.body).backgroundColor)];
    worst = Math.min(worst, (Math.max(...two) + 0.05) / (Math.min(...two) + 0.05));
  }
  return worst;
})()`;

const overflow = `(() => {
  const wide = [...document.querySelectorAll('body *')].filter(e =>
      e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 &&
      !e.closest('.aside, thead'));
  return document.documentElement.scrollWidth >
      document.documentElement.clientWidth || wide.length
      ? wide.map(e => e.tagName + '#' + e.id).join(' ') || 'the page' : '';
})()`;

// Visitors, errors, and peers of all kinds.
async function bustle(w, seconds = 12) {
  await w.do('engine', {connections: 312});
  const {digest} = (await w.ask('/digest')).json;
  await w.do('peers', {list: [
    {id: 'b2', admin: '127.0.0.1:2', digest, routes: 43, source: 'database',
     fresh_ms: 900, version: '1.2.3'},
    {id: 'b3', admin: '127.0.0.1:3', digest: DIGEST(3), routes: 42,
     source: 'snapshot', fresh_ms: 21000, stale: true, drifted: true,
     version: '1.2.3', trouble: 'shop differs'}]});
  await w.do('status', {unproven: 2});
  const up = async () => (await w.ask('/status')).json.up_ms / 1000;
  let requests = 0;
  for (let now = await up(), end = now + seconds, i = 0; now < end; i++) {
    const before = now;
    await until('a while is over', async () => (now = await up()) > before + .25);
    requests += Math.round((now - before) *
        (250 + 90 * Math.sin(now / 12) + 30 * Math.cos(now)));
    await w.do('engine', {requests});
    await w.do('errors', {code: i % 3 ? 'E02' : 'E06',
                          count: i % 300 === 30 ? 90 : +(i % 7 === 0)});
  }
}

const tests = {
  async it_shows_what_is() {
    const {w, page} = await open({pile: 60});
    await shows(page, 'state', /^well$/);
    await shows(page, 'routes', /^63$/);
    await shows(page, 'hosts', /^64$/);
    await shows(page, 'source', /^database$/);
    await shows(page, 'fresh', /^1 s ago$/);
    await shows(page, 'lag', /^42 ms$/);
    const {digest} = (await w.ask('/digest')).json;
    await shows(page, 'balancers', new RegExp(`b1\\s+${digest}\\s+63\\s+database`));
    await shows(page, 'errors', /none so far/);
    await shows(page, 'facts', /fake at 127\.0\.0\.1:80/);
    await shows(page, 'list', /app-000000\s+live\s+app-000000\.example/);
    await shows(page, 'list-words', /^50 shown, there may be more$/);
    await page.eval(`document.getElementById('more').click()`);
    await shows(page, 'list-words', /^63 shown, that is all$/);
    await shows(page, 'list', /shop\s+live\s+shop\.example, www\.shop\.example/);
    await shows(page, 'drones-words', /^62 addresses$/);
    await shows(page, 'drones', /127\.1\.0\.7:4000 shop/);
    assert.strictEqual(await page.eval('document.title'), 'Balancer b1');
    await close(page);
  },

  async it_follows_the_table() {
    const {w, page} = await open();
    await shows(page, 'routes', /^3$/);
    await shows(page, 'list', /forum\s+queued/);
    const before = (await w.ask('/digest')).json.digest;
    await w.put('forum', {gen: 2, to: ['127.1.0.9:4000'], claim: 9});
    await w.put('wiki', {to: ['127.1.0.10:4000'], claim: 10});
    await w.do('drop', {app: 'blog'});
    await shows(page, 'list', /forum\s+live/);
    await shows(page, 'list', /wiki\s+live/);
    await page.until('what is gone goes',
                     `!/blog/.test(document.getElementById('list').innerText)`);
    await page.until('the digest is another',
        `!document.getElementById('balancers').innerText.includes('${before}')`);
    await shows(page, 'drones', /127\.1\.0\.9:4000 forum/);
    await page.until('its drone, too',
        `!/0\\.8:4000/.test(document.getElementById('drones').innerText)`);
    // two apps at one address are shown as what they are
    await w.put('thief', {to: ['127.1.0.7:4000'], claim: 11});
    await shows(page, 'drones-words', /1 of them with several apps/);
    await close(page);
  },

  async it_finds_routes() {
    const {page} = await open({pile: 300});
    const type = word => page.eval(`(() => {
      const at = document.getElementById('search');
      at.value = ${JSON.stringify(word)};
      at.dispatchEvent(new Event('input'));
    })()`);
    for (const [word, wanted] of [['www.SHOP', /^1 shown, that is all$/],
                                  ['127.1.0.8:4', /^1 shown, that is all$/],
                                  ['app-00010', /^10 shown, that is all$/],
                                  ['no such', /^None has that\.$/]]) {
      await type(word);
      await shows(page, 'list-words', wanted);
    }
    await type('blog');
    await shows(page, 'list', /^blog\s+live\s+blog\.example\s+127\.1\.0\.8:4000\s+1$/);
    await close(page);
  },

  async staleness_and_a_snapshot_are_seen() {
    const {w, page} = await open();
    await shows(page, 'state', /^well$/);
    await w.do('status', {stale: true, fresh_ms: 23000, trouble: 'it is away'});
    await shows(page, 'alarms', /stale: .* 23 s/);
    await shows(page, 'fresh', /^23 s ago$/);
    await shows(page, 'warnings', /feed: it is away/);
    await shows(page, 'state', /^alarm$/);
    assert.ok(await page.eval(
        `document.getElementById('fresh-card').classList.contains('bad')`));
    assert.strictEqual(await page.eval('document.title'), '(!) Balancer b1');
    await w.do('status', {source: 1});
    await shows(page, 'source', /^snapshot$/);
    await w.do('engine', {trouble: 'its socket is away'});
    await shows(page, 'alarms', /engine fake: its socket is away/);
    await shows(page, 'state', /^in trouble$/);
    await w.do('engine', {trouble: ''});
    await w.do('status', {stale: false, fresh_ms: 10, trouble: '', source: 2});
    await shows(page, 'state', /^well$/);
    await shows(page, 'alarms', /^$/);
    await close(page);
  },

  async drift_is_an_alarm_and_shown_side_by_side() {
    const {w, page} = await open();
    const {digest} = (await w.ask('/digest')).json;
    const peer = {id: 'b2', admin: '127.0.0.1:2', source: 'database', routes: 3,
                  digest};
    await w.do('peers', {list: [peer]});
    await shows(page, 'balancers', new RegExp(`b2\\s+${digest}.*\\ssame`, 's'));
    await shows(page, 'state', /^well$/);
    await w.do('peers', {list: [{...peer, digest: DIGEST(2), drifted: true,
                                 trouble: 'shop differs'}]});
    await shows(page, 'alarms', /drift: b2 .*shop differs/);
    await shows(page, 'balancers', new RegExp(
        `b1\\s+${digest}.*b2\\s+${DIGEST(2)}.*DRIFT: shop differs`, 's'));
    assert.strictEqual(await page.eval(
        `document.getElementById('alarms').getAttribute('role')`), 'alert');
    await w.do('peers', {list: [{...peer, answers: false, trouble: 'refused'}]});
    await shows(page, 'balancers', /b2.*does not answer: refused/s);
    await shows(page, 'warnings', /b2 does not answer/);
    await shows(page, 'alarms', /^$/);
    await close(page);
  },

  async traffic_and_errors_are_drawn() {
    const {w, page} = await open();
    let requests = 0;
    await until('the curve has points', async () => {
      requests += 500;
      await w.do('engine', {requests, connections: 77});
      await w.do('errors', {code: 'E06', count: 2});
      return page.eval(`document.getElementById('chart-requests')
          .getAttribute('points').split(' ').length > 3 &&
          /[1-9]/.test(document.getElementById('rate').innerText)`);
    });
    await shows(page, 'errors', /E06\s+claim refused or not echoed\s+\d+/);
    await shows(page, 'connections', /^77$/);
    await shows(page, 'chart-words', /highest: [\d,]+ in a second/);
    await page.until('errors are drawn', `document.getElementById('chart-errors')
        .getAttribute('points').length > 20`);
    const inside = await page.eval(`document.getElementById('chart-requests')
        .getAttribute('points').split(' ').every(p => {
          const [x, y] = p.split(',').map(Number);
          return x >= 0 && x <= 300 && y >= 0 && y <= 100;
        })`);
    assert.ok(inside);
    await close(page);
  },

  async words_of_others_stay_words() {
    const {w, page} = await open();
    const evil = '<img src=x onerror="document.title=\'got\'"><b>"\'&';
    await w.put('evil', {msg: evil, code: '<b>', to: []  , state: 'failed'});
    await w.do('status', {trouble: evil, feed: evil});
    await w.do('notice', {full: true, msg: evil});
    await w.do('peers', {list: [{id: evil.slice(0, 60), admin: evil.slice(0, 60),
                                 trouble: evil, version: '<b>', source: '<b>'}]});
    await shows(page, 'warnings', /maintenance of all: <img src=x/);
    await shows(page, 'list', /evil\s+failed \(<b>\)/);
    assert.strictEqual(await page.eval(
        `document.querySelectorAll('main img, main td b, main li b').length`), 0);
    assert.strictEqual(await page.eval('document.title'), 'Balancer b1');
    await close(page);
  },

  async a_balancer_that_is_gone_is_said_to_be() {
    const {w, page} = await open();
    await shows(page, 'state', /^well$/);
    w.child.kill('SIGSTOP');
    await shows(page, 'silence', /does not answer .* may be old/);
    await shows(page, 'state', /^no answer$/);
    assert.strictEqual(await page.eval('document.title'), '(!) no answer');
    w.child.kill('SIGCONT');
    await shows(page, 'state', /^well$/);
    await shows(page, 'silence', /^$/);
    assert.deepStrictEqual(page.wrong, []);
    await w.end();
    await shows(page, 'silence', /does not answer/);
    await close(page, {but: [/net::ERR_CONNECTION_REFUSED|net::ERR_CONNECTION_RESET|net::ERR_EMPTY_RESPONSE/]});
  },

  async nobody_looks_and_nothing_is_asked() {
    const {w, page} = await open();
    const hide = is => page.eval(`(() => {
      Object.defineProperty(document, 'hidden', {value: ${is}, configurable: true});
      document.dispatchEvent(new Event('visibilitychange'));
    })()`);
    const asked = () => w.metric('balancer_admin_requests_total');
    const first = await asked();
    await until('it asks', async () => await asked() > first + 4);
    await hide(true);
    // what is under way comes to its end, then there is nothing for long
    let before = -1;
    await until('it does not ask', async () => {
      const now = await asked(), quiet = now === before + 1;
      before = now;
      await new Promise(done => setTimeout(done, 4000));
      return quiet;
    });
    await w.put('wiki');
    await hide(false);
    await shows(page, 'routes', /^4$/);
    await close(page);
  },

  async it_fits_a_phone() {
    const {w, page} = await open({width: 360, height: 740, mobile: true,
                                  pile: 20});
    await bustle(w);
    await shows(page, 'alarms', /drift: b3/);
    await shows(page, 'list', /app-000000/);
    assert.strictEqual(await page.eval(overflow), '');
    await page.dark(true);
    assert.strictEqual(await page.eval(overflow), '');
    assert.strictEqual(await page.eval(
        `getComputedStyle(document.body).backgroundColor`), 'rgb(18, 21, 26)');
    await shoot(page, 'balancer-phone.png');
    await page.size(320, 600, {mobile: true});
    assert.strictEqual(await page.eval(overflow), '');
    await close(page);
  },

  async it_can_be_read_by_all() {
    const {w, page} = await open({width: 1100, height: 1000, pile: 40});
    await bustle(w, process.env.CFT_SCREENSHOTS ? 290 : 12); // a full curve
    await shows(page, 'alarms', /drift: b3/);
    for (const dark of [false, true]) {
      await page.dark(dark);
      for (const selector of ['body', '.faint', '.pill', '.notes li', 'dt', 'dd',
                              'th', 'td', 'code', 'label', 'button:not([hidden])',
                              'footer a', '.wrongly', 'input']) {
        const ratio = await page.eval(contrast(selector));
        assert.ok(ratio >= 4.5, `${selector}, dark ${dark}: ${ratio.toFixed(2)}`);
      }
      if (!dark)
        await shoot(page, 'balancer-status.png');
    }
    const lacking = await page.eval(`(() => {
      const lacks = [];
      if (document.documentElement.lang !== 'en') lacks.push('lang');
      for (const at of document.querySelectorAll('input'))
        if (at.labels.length === 0) lacks.push('a label of ' + at.id);
      for (const at of document.querySelectorAll('section'))
        if (!document.getElementById(at.getAttribute('aria-labelledby')))
          lacks.push('a name of a section');
      for (const at of document.querySelectorAll('th'))
        if (!at.scope) lacks.push('scope of ' + at.innerText);
      if (document.querySelectorAll('h1').length !== 1) lacks.push('one h1');
      return lacks;
    })()`);
    assert.deepStrictEqual(lacking, []);
    assert.strictEqual(await page.eval(overflow), '');
    await close(page);
  },
};

main(tests, () => browser.end());
