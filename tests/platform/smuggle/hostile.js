// Clients that mean it badly: heads and bodies that come slowly or never end,
// answers that nobody reads, thousands that do nothing. Meanwhile an honest
// visitor is answered all the time, memory stays within bounds, and when the
// limits' time is over they are all gone.
//
//   hostile.js [--subject front|balancer] [--idle 10000] [--some 200]
'use strict';
const fs = require('fs');
const net = require('net');
const {Recorder} = require('./recorder.js');
const {talk} = require('./client.js');
const {HOST} = require('./table.js');
const subjects = require('./subjects.js');

const instrumented = process.env.CFT_INSTRUMENTED === '1';
const options = {subject: 'front', idle: instrumented ? '2000' : '10000',
                 some: '200'};
for (let i = 2; i + 1 < process.argv.length; i += 2)
  options[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];
const IDLE = +options.idle, SOME = +options.some;
const LIMITS = ['--head-time', '2s', '--idle-time', '4s', '--max-head', '8192'];
const PATIENCE_MS = 120000, BIG = 8 * 1024 * 1024;
// Files besides: the visitor's connection, idle ones behind.
const SPARE = 36;
// What a connection that does nothing, and one that reads nothing, may cost.
const IDLE_BYTES = 8 * 1024, UNREAD_BYTES = 400 * 1024;

const failures = [];
const fail = what => { failures.push(what); console.log(`FAILED: ${what}`); };
const sleep = ms => new Promise(done => setTimeout(done, ms));

// Connections that say something, and then only watch what becomes of them.
class Crowd {
  constructor(address) {
    [this.host, this.port] = address.split(':');
    this.all = [];
  }

  // say(socket, number): after it is connected. read: what comes is read.
  async open(count, say, {read = true} = {}) {
    const AT_ONCE = 200;
    for (let i = 0; i < count; i += AT_ONCE)
      await Promise.all([...Array(Math.min(AT_ONCE, count - i))].map((_, n) =>
        this.one(i + n, say, read)));
  }

  one(number, say, read) {
    return new Promise((done, failed) => {
      // A source address has 28,000 ports.
      const socket = net.connect({
        host: this.host, port: +this.port, allowHalfOpen: true,
        localAddress: `127.0.0.${2 + number % 20}`});
      const c = {socket, text: '', gone: false};
      this.all.push(c);
      socket.setEncoding('latin1');
      if (read)
        socket.on('data', data => { c.text += data; });
      else
        socket.pause();
      socket.on('connect', () => { if (say) say(socket, number); done(); });
      socket.on('end', () => { c.gone = true; socket.destroy(); });
      socket.on('close', () => { c.gone = true; });
      socket.on('error', e => {
        c.gone = true;
        if (socket.connecting || e.syscall === 'connect' || e.syscall === 'bind')
          failed(e);
      });
    });
  }

  here() { return this.all.filter(c => !c.gone).length; }

  async gone(what) {
    const end = Date.now() + PATIENCE_MS;
    while (this.here() !== 0 && Date.now() < end)
      await sleep(50);
    if (this.here() !== 0)
      fail(`${what}: ${this.here()} of ${this.all.length} are still there`);
  }

  // Each was told this status with that code.
  told(what, status, code) {
    const wrong = this.all.filter(c =>
      !c.text.startsWith(`HTTP/1.1 ${status} `) ||
      !c.text.includes(`\r\nX-Balancer-Error: ${code}\r\n`));
    if (wrong.length !== 0)
      fail(`${what}: ${wrong.length} of ${this.all.length} were not told ` +
           `${status} ${code}, but ${JSON.stringify(wrong[0].text.slice(0, 200))}`);
  }

  end() {
    for (const c of this.all)
      c.socket.destroy();
  }
}

// An honest visitor: one request after another on connections of his own.
class Visitor {
  constructor(address) {
    this.address = address;
    this.asked = 0;
    this.slowest = 0;
    this.over = false;
    this.running = this.run();
  }

  async run() {
    while (!this.over) {
      const began = Date.now();
      const r = await talk(this.address,
                           `GET /v/${++this.asked} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
                           {methods: ['GET'], ours: true});
      this.slowest = Math.max(this.slowest, Date.now() - began);
      if (r.bad !== null || r.answers.length !== 1 || r.answers[0].status !== 200)
        fail(`the visitor's request ${this.asked}: ` + (r.answers[0]
            ? r.answers[0].status : r.bad || r.end));
      await sleep(20);
    }
  }

  async more(count) {
    const wanted = this.asked + count, end = Date.now() + PATIENCE_MS;
    while (this.asked < wanted && Date.now() < end)
      await sleep(20);
    if (this.asked < wanted)
      fail('the visitor is not answered any more');
  }

  async end() {
    this.over = true;
    await this.running;
  }
}

const rss = pid => +/VmRSS:\s+(\d+)/.exec(
    fs.readFileSync(`/proc/${pid}/status`, 'latin1'))[1] * 1024;
const files = pid => fs.readdirSync(`/proc/${pid}/fd`).length;

// Who does not read does not see either that he was sent away.
async function closed(what, w, most) {
  const end = Date.now() + PATIENCE_MS;
  while (files(w.pid) > most && Date.now() < end)
    await sleep(50);
  if (files(w.pid) > most)
    fail(`${what}: ${files(w.pid)} files are open, there were ${most}`);
}

// Opens a crowd, lets the visitor be served beside it, and sees it gone.
async function phase(what, w, count, say, {status, code, most, read = true} = {}) {
  const crowd = new Crowd(w.address), before = rss(w.pid), began = Date.now();
  w.visitor.slowest = 0;
  await crowd.open(count, say, {read});
  await w.visitor.more(5);
  const each = (rss(w.pid) - before) / count;
  if (most !== undefined && !instrumented && each > most)
    fail(`${what}: ${Math.round(each)} bytes for each of ${count}`);
  if (read)
    await crowd.gone(what);
  else
    await closed(what, w, w.files + SPARE);
  console.log(`${what}: ${count} connections, ${Math.round(each)} bytes each, ` +
      `gone after ${((Date.now() - began) / 1000).toFixed(1)} s; the visitor ` +
      `waited ${w.visitor.slowest} ms at most`);
  if (status !== undefined)
    crowd.told(what, status, code);
  crowd.end();
}

// Says a byte of it every so often, as long as it can.
function drip(text, ms) {
  return socket => {
    let at = 0;
    const timer = setInterval(() => {
      if (socket.destroyed || at >= text.length)
        clearInterval(timer);
      else
        socket.write(text[at++]);
    }, ms);
    socket.on('close', () => clearInterval(timer));
  };
}

async function attacks(w) {
  const get = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n`;
  const post = `POST / HTTP/1.1\r\nHost: ${HOST}\r\n`;
  await phase('nothing', w, IDLE, null, {most: IDLE_BYTES}); // before all
  await phase('a byte of a head now and then', w, SOME,
              drip(get + 'X-A: ' + 'a'.repeat(1000), 300),
              {status: 408, code: 'E21'});
  await phase('half a head', w, SOME, s => s.write(get),
              {status: 408, code: 'E21'});
  await phase('a head without end', w, SOME, s => {
    s.on('drain', () => { if (!s.destroyed) s.write('X-A: b\r\n'.repeat(100)); });
    s.write(get + 'X-A: b\r\n'.repeat(5000));
  }, {status: 431, code: 'E21'});
  await phase('a first line without end', w, SOME,
              s => s.write('GET /' + 'a'.repeat(20000)),
              {status: 414, code: 'E21'});
  await phase('a body that stops', w, SOME,
              s => s.write(post + 'Content-Length: 1000\r\n\r\nhello'),
              {status: 408, code: 'E21'});
  await phase('chunks that stop', w, SOME,
              s => s.write(post + 'Transfer-Encoding: chunked\r\n\r\n5\r\nhe'),
              {status: 408, code: 'E21'});
  await phase('an answer that nobody reads', w, SOME / 2,
              s => s.write(`GET /big HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`),
              {read: false, most: UNREAD_BYTES});
  await phase('answers that nobody reads', w, SOME / 10,
              s => s.write((get + '\r\n').repeat(2000)),
              {read: false, most: UNREAD_BYTES});
  await phase('nothing more, behind an answer', w, SOME,
              s => s.write(get + '\r\n'));
}

// A drip that is no pause: it may stay, but costs nobody else anything.
async function slowBodies(w) {
  const crowd = new Crowd(w.address);
  await crowd.open(SOME, s => {
    s.write(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 1000\r\n\r\n`);
    drip('a'.repeat(1000), 300)(s);
  });
  await w.visitor.more(50);
  console.log(`a byte of a body now and then: ${crowd.here()} of ${SOME} stay`);
  crowd.end();
}

async function crowded(recorder, behind) {
  const subject = await subjects[options.subject](
      behind, [...LIMITS, '--max-connections', '50']);
  const crowd = new Crowd(subject.address);
  // Busy ones are not sent away for others, idle ones are.
  await crowd.open(50, s => s.write(
      `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 9\r\n\r\n`));
  await subjects.until('all of them are busy', () =>
    recorder.conns.filter(c => c.alive && c.text !== '').length >= 50);
  const more = new Crowd(subject.address);
  await more.open(20, null);
  await more.gone('more than may be');
  const told = more.all.filter(c => c.text.startsWith('HTTP/1.1 503 ')).length;
  if (told === 0)
    fail('nobody was told that there are too many');
  console.log(`more than may be: ${told} of 20 were told 503`);
  await crowd.gone('busy ones');
  crowd.told('busy ones', 408, 'E21');
  const idle = new Crowd(subject.address);
  await idle.open(50, null);
  const r = await talk(subject.address, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
                       {methods: ['GET'], ours: true});
  if (r.answers.length !== 1 || r.answers[0].status !== 200)
    fail('idle ones keep a visitor out');
  idle.end();
  if (!await subject.end())
    fail('it did not end well');
}

async function main() {
  const recorder = new Recorder({big: BIG});
  const behind = await recorder.listen();
  const subject = await subjects[options.subject](behind, LIMITS);
  const w = {address: subject.address, pid: subject.pid,
             visitor: new Visitor(subject.address)};
  await w.visitor.more(5);
  w.files = files(w.pid);
  const begun = rss(w.pid);
  await attacks(w);
  await slowBodies(w);
  await w.visitor.more(5);
  await w.visitor.end();
  await closed('in the end', w, w.files + SPARE);
  console.log(`visitor: ${w.visitor.asked} requests; memory ` +
      `${(begun / 1048576).toFixed(1)} -> ` +
      `${(rss(w.pid) / 1048576).toFixed(1)} MiB`);
  if (!await subject.end() || /Sanitizer|runtime error/.test(subject.log()))
    fail(`it did not end well: ${subject.log()}`);
  await crowded(recorder, behind);
  recorder.close();
  process.exit(failures.length !== 0 ? 1 : 0);
}
main().catch(e => { console.error(e); process.exit(1); });
