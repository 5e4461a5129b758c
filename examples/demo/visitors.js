'use strict';
// Visitors: so many requests a second, app after app, through the balancers in
// turn. Each answer is one of: the app's own page, a page of the balancer's with
// its code, or something that must not be. Where a balancer cannot be reached a
// visitor goes to the other one, as browsers do with two addresses.

const http = require('http');

const { request } = require('./couch');

const PERIOD_MS = 25;
const AT_ONCE = 200;
const SITE = /<!-- site=(\S+) nonce=(\S+) process=(\d+) -->/; // see site.js

class Visitors {
  /** `balancers` is a Map of name to { visitors: "ADDR:PORT" }; `onBad` is told
   *  what must not be, as a sentence. */
  constructor(balancers, nonce, onBad) {
    this.balancers = balancers;
    this.nonce = nonce;
    this.onBad = onBad;
    this.agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
    this.apps = [];
    this.turn = 0;
    this.waiting = new Set(); // visits that are under way
    this.process = new Map(); // app: the process that answered last
    this.counts = { answers: 0, own: 0, others: 0, lost: 0, elsewhere: 0,
      late: 0, pages: {} };
    this.perApp = new Map(); // app: { own, pages }
    this.slowestMs = 0;
  }

  add(app) {
    this.apps.push(app);
    this.perApp.set(app, { own: 0, pages: {} });
  }

  start() {
    this.timer = setInterval(() => this.next(), PERIOD_MS);
  }

  next() {
    if (this.waiting.size >= AT_ONCE) {
      this.counts.late++;
      return;
    }
    const app = this.apps[this.turn % this.apps.length];
    const names = [...this.balancers.keys()];
    // Each app through each balancer, whatever their numbers.
    const first = Math.floor(this.turn / this.apps.length) % names.length;
    this.turn++;
    const visit =
      this.visit(app, [...names.slice(first), ...names.slice(0, first)]);
    this.waiting.add(visit);
    visit.then(() => this.waiting.delete(visit));
  }

  async visit(app, names) {
    let why;
    for (const name of names) {
      const [host, port] = this.balancers.get(name).visitors.split(':');
      try {
        this.judge(app, name, await request({ host, port, path: '/',
          agent: this.agent, headers: { host: `${app}.localhost` } }));
        return;
      } catch (err) {
        why = err.message;
        this.counts.elsewhere++;
      }
    }
    this.counts.lost++;
    this.onBad(`a visitor of ${app} had no answer: ${why}`);
  }

  judge(app, name, { status, headers, body, ms }) {
    const code = headers['x-balancer-error'];
    const mine = this.perApp.get(app);
    const said = SITE.exec(body);
    this.counts.answers++;
    this.slowestMs = Math.max(this.slowestMs, ms);
    if (code !== undefined && said === null) {
      this.counts.pages[code] = (this.counts.pages[code] || 0) + 1;
      mine.pages[code] = (mine.pages[code] || 0) + 1;
    } else if (status === 200 && said !== null && said[1] === app &&
               said[2] === this.nonce) {
      this.counts.own++;
      mine.own++;
      this.process.set(app, said[3]);
    } else {
      this.counts.others++;
      this.onBad(`a visitor of ${app} at ${name} got ${said !== null
        ? `a page of ${said[1]}` : body.slice(0, 200)}, status ${status}`);
    }
  }

  /** What was counted up to now, to be handed to `since`; whoever came before
   *  has his answer by then. */
  async mark() {
    await Promise.all(this.waiting);
    return { counts: { ...this.counts, pages: { ...this.counts.pages } },
      perApp: new Map([...this.perApp].map(([app, { own, pages }]) =>
        [app, { own, pages: { ...pages } }])) };
  }

  /** { answers, own, others, lost, elsewhere, pages } since then; of one app
   *  { own, pages }. */
  since(mark, app) {
    const now = app ? this.perApp.get(app) : this.counts;
    const then = app ? mark.perApp.get(app) : mark.counts;
    const pages = {};
    for (const [code, n] of Object.entries(now.pages))
      if (n > (then.pages[code] || 0)) pages[code] = n - (then.pages[code] || 0);
    const out = { pages };
    for (const key of Object.keys(now))
      if (key !== 'pages') out[key] = now[key] - then[key];
    return out;
  }

  /** Resolves when the last has his answer. */
  async stop() {
    clearInterval(this.timer);
    await Promise.all(this.waiting);
    this.agent.destroy();
  }
}

/** The process that wrote a page; undefined: none of the apps'. */
function processOf(body) {
  const said = SITE.exec(body);
  return said === null ? undefined : said[3];
}

/** "none", or "E05 12, E10 3". */
function pagesText(pages) {
  const all = Object.entries(pages).sort();
  return all.length === 0 ? 'none'
    : all.map(([code, n]) => `${code} ${n} times`).join(', ');
}

module.exports = { Visitors, pagesText, processOf };
