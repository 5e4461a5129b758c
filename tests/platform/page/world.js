// An admin face in a world that does as it is told (world.h), for tests; and
// the few words tests need. No framework: tests are functions of a table.
'use strict';
const assert = require('assert');
const fs = require('fs');
const http = require('http');
const net = require('net');
const os = require('os');
const path = require('path');
const readline = require('readline');
const {spawn} = require('child_process');

const instrumented = process.env.CFT_INSTRUMENTED === '1';
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'balancer-page-'));
const CLAIM = n => String(n).padStart(32, '0');
const worlds = [];

const sleep = ms => new Promise(done => setTimeout(done, ms));

// Waits for a condition, not for a time; says what it waited for.
async function until(what, check, ms = instrumented ? 60000 : 20000) {
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

class World {
  async start({attach = true, listen = '127.0.0.1:0'} = {}) {
    const program = path.join(process.env.CFT_PLATFORM, 'platform_admin_world');
    this.log = path.join(scratch, `world-${worlds.length}.log`);
    const log = fs.openSync(this.log, 'a');
    this.child = spawn(program, [listen], {stdio: ['pipe', 'pipe', log]});
    fs.closeSync(log);
    worlds.push(this);
    this.said = [];
    this.waiting = [];
    this.over = false;
    this.ended = new Promise(done => this.child.on('exit', (code, signal) => {
      this.over = true;
      for (const {failed} of this.waiting.splice(0))
        failed(new Error(`the world ended: ${code} ${signal}`));
      done({code, signal});
    }));
    this.child.stdin.on('error', () => {});
    readline.createInterface({input: this.child.stdout}).on('line', line => {
      const first = this.waiting.shift();
      if (first) first.done(line); else this.said.push(line);
    });
    this.address = await this.line();
    this.url = `http://${this.address}`;
    if (attach)
      await this.do('attach');
    return this;
  }

  line() {
    if (this.said.length)
      return Promise.resolve(this.said.shift());
    return new Promise((done, failed) => this.waiting.push({done, failed}));
  }

  async do(what, members = {}) {
    this.child.stdin.write(JSON.stringify({do: what, ...members}) + '\n');
    assert.strictEqual(await this.line(), 'ok', `${what}`);
  }

  put(app, {gen = 1, state = 'live', to = ['127.1.0.1:40'], claim = 1,
            hosts = [`${app}.example`], ...more} = {}) {
    return this.do('put', {doc: {
      _id: `route:${app}`, _rev: `${gen}-${CLAIM(claim)}`, app, gen, state,
      hosts, to: to.map(addr => ({drone: addr, addr, claim: CLAIM(claim)})),
      ...more}});
  }

  // {status, headers, body, json} of one request on a connection of its own.
  ask(target, {method = 'GET', headers = {}, signal} = {}) {
    const at = this.address.lastIndexOf(':');
    const host = this.address.slice(0, at).replace(/[[\]]/g, '');
    return new Promise((done, failed) => {
      const q = http.request({host, port: +this.address.slice(at + 1), method,
                              path: target, headers, agent: false, signal},
                             r => {
        const pieces = [];
        r.on('data', piece => pieces.push(piece));
        r.on('error', failed);
        r.on('end', () => {
          const body = Buffer.concat(pieces).toString();
          let json = null;
          try { json = JSON.parse(body); } catch (e) { /* not JSON */ }
          done({status: r.statusCode, headers: r.headers, body, json});
        });
      });
      q.setTimeout(90000, () => q.destroy(new Error('no answer in 90 s')));
      q.on('error', failed);
      q.end();
    });
  }

  // A connection of plain bytes.
  dial() {
    const at = this.address.lastIndexOf(':');
    const socket = net.connect(+this.address.slice(at + 1),
                               this.address.slice(0, at));
    socket.on('error', () => {});
    return socket;
  }

  async metric(name) {
    const {body} = await this.ask('/metrics');
    const found = new RegExp(`^${name} (.*)$`, 'm').exec(body);
    return found ? +found[1] : undefined;
  }

  async end() {
    this.child.stdin.end();
    return this.ended;
  }

  output() { return fs.readFileSync(this.log, 'utf8'); }
}

// Runs the table's functions one by one; the first failure is the end. Each
// world must end cleanly.
async function main(tests, after = async () => {}) {
  const only = process.argv[2];
  let failed = false;
  for (const [name, test] of Object.entries(tests)) {
    if (failed || (only !== undefined && !name.includes(only)))
      continue;
    const began = Date.now(), first = worlds.length;
    try {
      await test();
      for (const w of worlds.slice(first)) {
        const {code, signal} = await w.end();
        assert.strictEqual(`${code} ${signal}`, '0 null', 'how a world ended');
      }
      console.log(`ok ${name} (${Date.now() - began} ms)`);
    } catch (e) {
      console.log(`FAILED ${name}: ${e.stack}`);
      for (const w of worlds.slice(first))
        console.log(`--- ${w.log}\n${w.output().slice(-3000)}`);
      failed = true;
    }
  }
  for (const w of worlds)
    if (!w.over)
      w.child.kill('SIGKILL');
  await after();
  fs.rmSync(scratch, {recursive: true, force: true});
  process.exit(failed ? 1 : 0);
}

module.exports = {CLAIM, World, assert, instrumented, main, scratch, sleep,
                  until};
