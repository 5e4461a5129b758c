'use strict';
// The platform's programs: how the demo starts them, asks them, and knows that
// they have ended unasked.

const { spawnSync } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const { Couch, request } = require('./couch');
const { endChild } = require('./child');

const REAP_S = 10; // a drone that is silent for half of it is given up
const STALE_S = 8; // a provisioner's tick comes each 5 s
const SITE = 'site.js';

/** A word of the shell's. */
const quoted = (word) => `'${word.replace(/'/g, `'\\''`)}'`;

class Platform {
  /** `programs` is their directory; `onDeath` is told a sentence. */
  constructor(processes, programs, database, { until, onDeath }) {
    this.processes = processes;
    this.dir = processes.dir;
    this.programs = programs;
    this.database = database;
    this.until = until;
    this.onDeath = onDeath;
    this.env = { ...process.env, COUCHDB_URL: database.url };
    this.balancers = new Map(); // name: { child, visitors, admin, face }
    this.silent = new Set(); // children whose end is no accident
  }

  file(name) { return path.join(this.dir, name); }
  program(name) { return path.join(this.programs, name); }

  // ---- before the first program -------------------------------------------

  writeTokens() {
    for (const name of ['api.token', 'drone.token'])
      fs.writeFileSync(this.file(name),
        `${crypto.randomBytes(24).toString('hex')}\n`, { mode: 0o600 });
    this.token = fs.readFileSync(this.file('api.token'), 'utf8').trim();
    fs.mkdirSync(this.file('run'), { mode: 0o700 }); // locks of apps
  }

  /** The apps' program, where their user can read it. Started by root, they run
   *  as nobody. */
  writeSite() {
    fs.copyFileSync(path.join(__dirname, SITE), this.file(SITE));
    fs.chmodSync(this.file(SITE), 0o644);
    this.user = [];
    if (process.getuid() !== 0) return;
    fs.chmodSync(this.dir, 0o711);
    this.user = ['--drone-user', 'nobody'];
    const number = (flag) => Number(
      spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout);
    const tried = spawnSync(process.execPath, ['--check', this.file(SITE)],
      { uid: number('-u'), gid: number('-g'), encoding: 'utf8', cwd: '/' });
    if (tried.status !== 0)
      throw new Error('apps do not run as root, and the user nobody cannot ' +
        `run ${process.execPath} ${this.file(SITE)} (${tried.error
          ? tried.error.message : tried.stderr.trim().split('\n').pop()}): ` +
        'run the demo as another user, or set TMPDIR to a directory that ' +
        'everybody may enter');
  }

  /** The command line of an app. */
  get command() {
    return `exec ${quoted(process.execPath)} ${quoted(this.file(SITE))}`;
  }

  init() {
    const done = spawnSync(this.program('provisioner'), ['--init',
      '--apps', this.database.apps, '--locks', this.database.locks],
    { env: this.env, encoding: 'utf8', timeout: 60000 });
    if (done.status !== 0)
      throw new Error(`provisioner --init: ${done.error
        ? done.error.message : done.stderr.trim()}`);
  }

  // ---- programs -----------------------------------------------------------

  async start(name, program, words, portFile) {
    fs.rmSync(this.file(portFile), { force: true });
    const child = this.processes.start(name, this.program(program), words,
      { env: this.env });
    let over = '';
    child.gone.then((how) => {
      over = `${name} ended: ${how}; see ${name}.log`;
      if (!this.silent.has(child)) this.onDeath(over);
    });
    await this.until(`${name} has not said where it listens`,
      () => over !== '' || fs.existsSync(this.file(portFile)));
    if (over !== '') throw new Error(over);
    return { child,
      lines: fs.readFileSync(this.file(portFile), 'utf8').trim().split('\n') };
  }

  async kill(child) {
    this.silent.add(child);
    await endChild(child, 'SIGKILL');
  }

  /** Started again, it is at its old addresses. */
  async startBalancer(name) {
    const before = this.balancers.get(name) ||
                   { visitors: '127.0.0.1:0', admin: '127.0.0.1:0' };
    const { child, lines } = await this.start(`balancer-${name}`, 'balancer',
      ['--apps', this.database.apps, '--id', name, '--threads', '1',
        '--listen', before.visitors, '--admin', before.admin,
        '--port-file', this.file(`${name}.ports`),
        '--snapshot', this.file(`${name}.routes`), '--snapshot-every', '500ms',
        '--stale-time', `${STALE_S}s`], `${name}.ports`);
    const [visitors, admin] = lines;
    const it = { child, visitors, admin, face: new Couch(`http://${admin}`) };
    if (before.face) before.face.close();
    this.balancers.set(name, it);
    return it;
  }

  async startProvisioner(most) {
    const { visitors } = this.balancers.get('b1');
    const { child, lines } = await this.start('provisioner', 'provisioner',
      ['--apps', this.database.apps, '--locks', this.database.locks,
        '--id', 'p1', '--listen', this.apiAddress || '127.0.0.1:0',
        '--port-file', this.file('api.port'),
        '--token-file', this.file('api.token'),
        '--drone-token-file', this.file('drone.token'),
        '--url-port', visitors.split(':').pop(),
        '--driver', 'local', '--driver-dir', this.file('drones'), ...this.user,
        '--reap-time', `${REAP_S}s`, '--drones-most', String(most)],
      'api.port');
    this.provisioner = child;
    this.apiAddress = lines[0];
    if (this.api) this.api.close();
    this.api = new Couch(`http://${lines[0]}`,
      { authorization: `Bearer ${this.token}` });
    await this.until('the provisioner is not in step with the database',
      async () => (await this.api.call('GET', '/healthz')).status === 200);
  }

  /** apps WORD...: resolves at its end to { status, lines }. */
  async apps(...words) {
    const { status, out, err } = await this.processes.run('apps',
      this.program('apps'), words, { ...this.env,
        APPS_SERVER: `http://${this.apiAddress}`,
        APPS_TOKEN_FILE: this.file('api.token'),
        XDG_RUNTIME_DIR: this.file('run') });
    return { status, lines: `${err}${out}`.trim().split('\n') };
  }

  /** spam.js, for so long. */
  async spam(scripts, ms, apps) {
    const { status, out, err } = await this.processes.run('scripts',
      process.execPath, [path.join(__dirname, 'spam.js'),
        `http://${this.apiAddress}`, this.file('api.token'), String(scripts),
        String(ms), ...apps]);
    if (status !== 0) throw new Error(`spam.js ended with ${status}: ${err}`);
    return JSON.parse(out);
  }

  // ---- what they say ------------------------------------------------------

  async droneStates() {
    return (await this.api.ask('GET', '/drones')).states;
  }

  status(name) {
    return this.balancers.get(name).face.ask('GET', '/status');
  }

  statuses() {
    return Promise.all([...this.balancers.keys()].map((b) => this.status(b)));
  }

  /** What a balancer answers to a visitor of an app: { status, page, body }. */
  async visit(name, app) {
    const [host, port] = this.balancers.get(name).visitors.split(':');
    const answer = await request({ host, port, path: '/', agent: false,
      headers: { host: `${app}.localhost`, accept: 'text/plain' } });
    return { status: answer.status, body: answer.body,
      page: answer.headers['x-balancer-error'] || '' };
  }

  close() {
    for (const { face } of this.balancers.values()) face.close();
    if (this.api) this.api.close();
  }
}

module.exports = { Platform, REAP_S, STALE_S };
