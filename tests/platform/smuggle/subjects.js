// What is attacked: started, its address, ended. Each takes visitors to the
// recorder for the host of the tables, under their claim.
'use strict';
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const {spawn} = require('child_process');
const {talk} = require('./client.js');
const {HOST, CLAIM} = require('./table.js');

const programs = process.env.CFT_PLATFORM;
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'cft-smuggle-'));
const children = [];

process.on('exit', () => {
  for (const child of children)
    if (child.exitCode === null && child.signalCode === null)
      child.kill('SIGKILL');
  fs.rmSync(scratch, {recursive: true, force: true});
});
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => process.exit(1));

const sleep = ms => new Promise(done => setTimeout(done, ms));

async function until(what, check, ms = 60000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value)
      return value;
    if (Date.now() > end)
      throw new Error(`not in ${ms} ms: ${what}`);
    await sleep(20);
  }
}

function start(program, words, log) {
  const out = fs.openSync(path.join(scratch, log), 'a');
  const child = spawn(program, words, {stdio: ['ignore', out, out]});
  fs.closeSync(out);
  child.on('error', e => { console.error(`${program}: ${e.message}`); });
  children.push(child);
  return child;
}

const logOf = name => {
  try {
    return fs.readFileSync(path.join(scratch, name), 'latin1');
  } catch (e) { return ''; }
};

async function addressOf(child, file, log) {
  return until(`${file} is written`, () => {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`it has ended: ${logOf(log)}`);
    try {
      return fs.readFileSync(file, 'latin1').split('\n')[0];
    } catch (e) { return null; }
  });
}

async function end(child) {
  const gone = new Promise(done => child.on('exit', done));
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM');
    await gone;
  }
  return child.exitCode;
}

let started = 0;

async function front(behind, more = []) {
  const file = path.join(scratch, `front.${++started}`);
  const child = start(path.join(programs, 'platform_front'),
                      ['--behind', behind, '--claim', CLAIM,
                       '--port-file', file, ...more], 'front.log');
  return {name: 'front', address: await addressOf(child, file, 'front.log'),
          pid: child.pid, log: () => logOf('front.log'),
          end: async () => await end(child) === 0};
}

// JSON to or from an HTTP server of the tests.
async function ask(method, url, body) {
  const r = await fetch(url, {method, body: body && JSON.stringify(body),
                              headers: {'Content-Type': 'application/json'}});
  if (!r.ok)
    throw new Error(`${method} ${url}: ${r.status} ${await r.text()}`);
  return r.json();
}

// A database with one route, to the recorder.
async function couch(behind) {
  const file = path.join(scratch, `couch.${++started}`);
  const child = start(process.env.CFT_COUCHSIM,
                      ['--with-parent', '--port-file', file], 'couch.log');
  const url = (await addressOf(child, file, 'couch.log')).split(' ')[0]
      .replace(/\/+$/, '');
  const [app, claim] = CLAIM.split('/');
  await ask('PUT', `${url}/apps`);
  await ask('PUT', `${url}/apps/route:${app}`, {
    app, hosts: [HOST], gen: 1, state: 'live', code: '', msg: '',
    to: [{drone: behind, addr: behind, claim}], prev: [], at: 1});
  return {child, url};
}

async function balancer(behind, more = []) {
  const {child: sim, url} = await couch(behind);
  const file = path.join(scratch, `balancer.${++started}`);
  const log = `balancer.${started}.log`;
  const child = start(path.join(programs, 'balancer'),
                      ['--couch', url, '--id', 'b1', '--listen', '127.0.0.1:0',
                       '--admin', '127.0.0.1:0', '--threads', '1',
                       '--port-file', file, ...more],
                      log);
  const address = await addressOf(child, file, log);
  await until('it serves the route', async () => {
    const r = await talk(address, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
                         {methods: ['GET'], ours: true});
    return r.answers.length === 1 && r.answers[0].status === 200;
  });
  return {name: 'balancer', address, pid: child.pid, log: () => logOf(log),
          end: async () => {
            const status = await end(child);
            sim.kill('SIGKILL');
            return status === 0;
          }};
}

// HAProxy takes no port 0: one that was free a moment ago, and again if not.
async function haproxy(behind) {
  for (let i = 0; i < 20; i++) {
    const probe = net.createServer();
    await new Promise(done => probe.listen(0, '127.0.0.1', done));
    const port = probe.address().port;
    await new Promise(done => probe.close(done));
    const file = path.join(scratch, `haproxy.${i}.cfg`);
    fs.writeFileSync(file, fs.readFileSync(
        path.join(__dirname, 'haproxy.cfg'), 'latin1')
        .replace('LISTEN', `127.0.0.1:${port}`).replace('BEHIND', behind)
        .replace(/CLAIM/g, CLAIM));
    const child = start('haproxy', ['-db', '-f', file], 'haproxy.log');
    const up = await until('HAProxy listens', () =>
      child.exitCode !== null ? 'no' : new Promise(done => {
        const s = net.connect(port, '127.0.0.1');
        s.on('connect', () => { s.destroy(); done('yes'); });
        s.on('error', () => done(null));
      }));
    if (up === 'yes' && child.exitCode === null)
      return {name: 'haproxy', address: `127.0.0.1:${port}`, pid: child.pid,
              log: () => logOf('haproxy.log'),
              end: async () => { child.kill('SIGKILL'); return true; }};
  }
  throw new Error(`HAProxy does not start: ${logOf('haproxy.log')}`);
}

module.exports = {front, balancer, haproxy, HOST, scratch, start, until, end, addressOf,
                  logOf, programs};
