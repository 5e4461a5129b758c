'use strict';
// Processes that the demo begins, and their ends. Each is in a process group of
// its own, so that a Ctrl-C reaches the demo alone, which ends them in order.
// What there is stands in the demo's directory, so that whoever comes later can
// end exactly these and no others:
//   running        a line "PID BEGAN NAME" for each that was begun
//   drones/*/pid   "PID BEGAN", by the provisioner
// BEGAN is when the process began, in ticks since the machine's start. Besides,
// each has MARK=DIRECTORY in its environment: a demo that is killed while it
// starts one has no line of it.

const { spawn } = require('child_process');
const fs = require('fs');
const path = require('path');

const MARK = 'CHANGEFEED_DEMO'; // a variable's name
const GRACE_MS = 8000; // a drone gives its app 5 s
const LOOK_MS = 20;
// Whoever makes processes goes first, and the database last.
const ORDER = ['scripts', 'apps', 'provisioner', 'changefeed', 'drone', 'balancer',
  'database'];

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** Resolves, never rejects, to how a child ended: "exit code 1", "SIGKILL", or
 *  why it could not be started. */
function exitOf(child) {
  return new Promise((done) => {
    child.once('error', (err) => done(err.message));
    child.once('exit', (code, signal) => done(signal || `exit code ${code}`));
  });
}

/** When the process began; undefined: it is no more, or only what is left of
 *  it. */
function beganOf(pid) {
  let stat;
  try {
    stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (err) {
    return undefined;
  }
  const words = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return words[0] === 'Z' || words[0] === 'X' ? undefined : words[19];
}

/** The lines of its environment; none of a process of somebody else's. */
function environmentOf(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
  } catch (err) {
    return [];
  }
}

function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (err) {
    if (err.code === 'ENOENT') return '';
    throw err;
  }
}

class Processes {
  constructor(dir) {
    this.dir = dir;
    this.ending = false;
  }

  note(pid, name) {
    fs.appendFileSync(path.join(this.dir, 'running'),
      `${pid} ${beganOf(pid)} ${name}\n`);
  }

  /** Starts a program. What it says goes to NAME.log in the directory, or where
   *  stdio, of spawn, says. */
  start(name, program, words, { env = process.env, stdio } = {}) {
    if (this.ending) throw new Error(`too late for ${name}`);
    const log = stdio ? undefined
      : fs.openSync(path.join(this.dir, `${name}.log`), 'a', 0o600);
    const child = spawn(program, words,
      { stdio: stdio || ['ignore', log, log], detached: true,
        env: { ...env, [MARK]: this.dir } });
    if (log !== undefined) fs.closeSync(log);
    child.gone = exitOf(child);
    if (child.pid !== undefined) this.note(child.pid, name);
    return child;
  }

  /** Runs a program to its end; resolves to { status, out, err }. */
  run(name, program, words, env = process.env) {
    const child = this.start(name, program, words,
      { stdio: ['ignore', 'pipe', 'pipe'], env });
    const result = { out: '', err: '' };
    for (const [key, stream] of [['out', child.stdout], ['err', child.stderr]])
      stream.setEncoding('utf8').on('data', (part) => { result[key] += part; });
    return new Promise((done) => {
      child.once('close', (code, signal) =>
        done({ status: signal || code, ...result }));
      child.once('error', (err) => done({ status: err.message, ...result }));
    });
  }

  /** What a program has said. */
  said(name) {
    return read(path.join(this.dir, `${name}.log`));
  }

  drones() {
    const all = path.join(this.dir, 'drones');
    if (!fs.existsSync(all)) return [];
    return fs.readdirSync(all).map((id) => {
      const [pid, began] = read(path.join(all, id, 'pid')).trim().split(' ');
      const guard = /^guard (.*)$/m.exec(read(path.join(all, id, 'ports')));
      return { name: 'drone', pid: Number(pid), began,
        addr: guard ? guard[1] : '' };
    }).filter(isAlive);
  }

  /** Those that are alive. */
  list() {
    const begun = read(path.join(this.dir, 'running')).split('\n')
      .filter((line) => line !== '').map((line) => {
        const [pid, began, ...name] = line.split(' ');
        return { pid: Number(pid), began, name: name.join(' ') };
      });
    return [...begun, ...this.drones()].filter(isAlive);
  }

  /** Those with the mark, whoever noted them. */
  marked() {
    const mark = `${MARK}=${this.dir}`;
    return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))
      .map((pid) => ({ name: 'marked', pid: Number(pid), began: beganOf(pid) }))
      .filter(({ pid }) => environmentOf(pid).includes(mark));
  }

  /** Ends all of them, kind after kind; resolves to how many there were. None
   *  can be started any more. */
  async end() {
    this.ending = true;
    let count = 0;
    for (const kind of ORDER)
      count += await endAll(
        this.list().filter(({ name }) => name.startsWith(kind)));
    return count + await endAll(this.marked());
  }
}

function isAlive({ pid, began }) {
  return pid > 1 && began !== undefined && beganOf(pid) === began;
}

function send(one, signal) {
  try {
    if (isAlive(one)) process.kill(one.pid, signal);
  } catch (err) {
    if (err.code !== 'ESRCH') throw err;
  }
}

/** Ends a process by a signal, by SIGKILL if that does not help, and resolves
 *  when it is gone. */
async function endProcess(one, signal = 'SIGTERM') {
  send(one, signal);
  for (let waited = 0; isAlive(one); waited += LOOK_MS) {
    if (waited >= GRACE_MS) send(one, 'SIGKILL');
    await pause(LOOK_MS);
  }
}

async function endAll(some) {
  await Promise.all(some.map((one) => endProcess(one)));
  return some.length;
}

/** The same of a child. */
async function endChild(child, signal) {
  if (child.pid === undefined) return;
  await endProcess({ pid: child.pid, began: beganOf(child.pid) }, signal);
  await child.gone;
}

module.exports = { Processes, beganOf, endChild, isAlive, pause, read };
