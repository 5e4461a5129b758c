// Drones for tests: each in a directory of its own, started, asked, killed, and
// what it leaves looked for. No framework: tests are functions of a table.
'use strict';
const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const {spawn} = require('child_process');
const assert = require('assert');

const programs = process.env.CFT_PLATFORM;
const instrumented = process.env.CFT_INSTRUMENTED === '1';
const TOKEN = 'open-sesame';
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'drone-test-'));
const drones = [];

const sleep = ms => new Promise(done => setTimeout(done, ms));
const hex = () => require('crypto').randomBytes(16).toString('hex');

// Waits for a condition, not for a time; says what it waited for.
async function until(what, check, ms = instrumented ? 60000 : 20000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value)
      return value;
    if (Date.now() > end)
      throw new Error(`not in ${ms} ms: ${what}`);
    await sleep(15);
  }
}

// {status, headers, body, json} of one request on a connection of its own.
function ask(address, method, target, {headers = {}, body, agent = false} = {}) {
  const [host, port] = address.split(':');
  return new Promise((done, failed) => {
    const q = http.request({host, port, method, path: target, headers, agent},
                           r => {
      let text = '';
      r.setEncoding('utf8');
      r.on('data', piece => text += piece);
      r.on('error', failed);
      r.on('end', () => {
        let json = null;
        try { json = JSON.parse(text); } catch (e) { /* not JSON */ }
        done({status: r.statusCode, headers: r.headers, body: text, json});
      });
    });
    q.setTimeout(60000, () => q.destroy(new Error('no answer in 60 s')));
    q.on('error', failed);
    q.end(body);
  });
}

// Living processes with that directory's mark: [{pid, parent, comm}].
function marked(dir) {
  const found = [];
  for (const pid of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(pid))
      continue;
    try {
      const env = fs.readFileSync(`/proc/${pid}/environ`, 'latin1');
      if (!env.split('\0').includes(`DRONE_MARK=${dir}`))
        continue;
      const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
      const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (rest[0] !== 'Z')
        found.push({pid: +pid, parent: +rest[1]});
    } catch (e) { /* has ended meanwhile, or is not ours to read */ }
  }
  return found;
}

const alive = pid => {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch (e) { return false; }
};

class Drone {
  constructor(name) {
    this.name = `${name}-${drones.length}`;
    this.home = path.join(scratch, this.name);
    fs.mkdirSync(this.home);
    fs.chmodSync(scratch, 0o755);
    this.dir = path.join(this.home, 'dir');
    this.ports = path.join(this.home, 'ports');
    this.token = path.join(this.home, 'token');
    this.log = path.join(this.home, 'log');
    fs.writeFileSync(this.token, TOKEN + '\n', {mode: 0o600});
    drones.push(this);
  }

  spawn({args = [], env = {}, hooked = false} = {}) {
    const words = ['--dir', this.dir, '--token-file', this.token,
                   '--port-file', this.ports, ...args];
    if (process.getuid() === 0 && !args.includes('--user'))
      words.push('--as-root');
    const out = fs.openSync(this.log, 'a');
    fs.rmSync(this.ports, {force: true});
    const program = path.join(programs, hooked ? 'drone_hooked' : 'drone');
    // A test that is killed leaves no drone behind.
    const mortal = fs.existsSync('/usr/bin/setpriv')
        ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', program] : [program];
    this.child = spawn(mortal[0], [...mortal.slice(1), ...words], {
      stdio: ['ignore', out, out], env: {...process.env, ...env}});
    fs.closeSync(out);
    this.ended = new Promise(done => this.child.on(
        'exit', (code, signal) => done({code, signal})));
    this.over = false;
    this.ended.then(() => this.over = true);
    return this.ended;
  }

  async start(options) {
    this.spawn(options);
    await until('the drone is ready: ' + this.log,
                () => fs.existsSync(this.ports) || this.over);
    if (!fs.existsSync(this.ports))
      throw new Error('the drone did not start: ' + this.output());
    const text = fs.readFileSync(this.ports, 'utf8');
    this.guard = /^guard (.*)$/m.exec(text)[1];
    this.ctl = /^ctl (.*)$/m.exec(text)[1];
    return this;
  }

  output() { return fs.readFileSync(this.log, 'utf8'); }

  async end(signal = 'SIGTERM') {
    this.child.kill(signal);
    return this.ended;
  }

  agent(method, target, body, headers = {}) {
    return ask(this.ctl, method, target, {
      headers: {authorization: `Bearer ${TOKEN}`, ...headers},
      body: body === undefined || typeof body === 'string'
          ? body : JSON.stringify(body)});
  }

  async state() { return (await this.agent('GET', '/state')).json; }

  async bind(claim, epoch = 1, more = {}) {
    const vm = more.vm || (await this.state()).vm;
    return this.agent('POST', '/bind',
                      {claim, epoch, vm, app: 'shop', gen: 1, ...more});
  }

  run(claim, command, more = {}) {
    return this.agent('POST', '/start', {claim, command, ...more});
  }

  unbind(claim, epoch = 1) {
    return this.agent('POST', '/unbind', {claim, epoch});
  }

  visit(claim, target = '/', options = {}) {
    return ask(this.guard, options.method || 'GET', target, {...options,
      headers: {'x-drone-claim': `shop/${claim}`, ...options.headers}});
  }

  async becomes(state, ms) {
    return until(`app ${state} in ${this.name}`, async () => {
      const s = await this.state();
      return s.app.state === state ? s : null;
    }, ms);
  }

  // Bound, started and taking connections.
  async serving(claim, command, more) {
    assert.strictEqual((await this.bind(claim)).status, 200);
    assert.strictEqual((await this.run(claim, command, more)).status, 202);
    return this.becomes('running');
  }
}

// An app in JavaScript: what is in body has q (request) and r (response).
function app(body) {
  const file = path.join(scratch, `app-${hex()}.js`);
  fs.writeFileSync(file, `
const http = require('http'), fs = require('fs');
const server = http.createServer((q, r) => { ${body} });
server.listen(process.env.SOCKET || process.env.PORT, ...(process.env.SOCKET
    ? [] : ['127.0.0.1']));`);
  fs.chmodSync(file, 0o644);
  return `exec ${process.execPath} ${file}`;
}

function script(text) {
  const file = path.join(scratch, `script-${hex()}.js`);
  fs.writeFileSync(file, text);
  fs.chmodSync(file, 0o644);
  return file;
}

// Runs the table's functions one by one; the first failure is the end.
async function main(tests) {
  const only = process.argv[2];
  let failed = false;
  for (const [name, test] of Object.entries(tests)) {
    if (only !== undefined && !name.includes(only))
      continue;
    const began = Date.now();
    const first = drones.length;
    try {
      await test();
      console.log(`ok ${name} (${Date.now() - began} ms)`);
    } catch (e) {
      console.log(`FAILED ${name}: ${e.stack}`);
      for (const d of drones.slice(first))
        if (fs.existsSync(d.log))
          console.log(`--- ${d.name}\n${d.output().slice(-3000)}`);
      failed = true;
    }
    for (const d of drones.slice(first)) {
      if (d.child !== undefined && !d.over)
        await d.end('SIGKILL');
      // What a drone leaves when it is killed is its keeper's to end.
      if (!failed)
        await until(`nothing is left of ${d.name}`,
                    () => marked(d.dir).length === 0);
    }
    if (failed)
      break;
  }
  for (const d of drones)
    for (const p of marked(d.dir))
      process.kill(p.pid, 'SIGKILL');
  fs.rmSync(scratch, {recursive: true, force: true});
  process.exit(failed ? 1 : 0);
}

module.exports = {Drone, TOKEN, alive, app, ask, assert, hex, instrumented,
                  main, marked, scratch, script, sleep, until};
