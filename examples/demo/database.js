'use strict';
// The database of the demo, and its trouble. Either couch-serve, which is
// killed with SIGKILL and started again; or the one COUCHDB_URL names, which is
// not ours to kill: there the follower goes through a relay that breaks.
//
//   url        for the writer
//   feedUrl    for the follower
//   password   of feedUrl's user, if any
//   plan()     what strike is going to do, as a sentence
//   strike()   the follower has no database any more
//   mend()     it has one again, at the same address
//   mended()   what mend has done, as a sentence
//   stop()     at the end

const { spawn } = require('child_process');
const net = require('net');
const path = require('path');
const readline = require('readline');

const { endChild, exitOf } = require('./child');

const SERVER = path.join(__dirname, '../../tests/couch-serve/couch-serve.js');

class OwnDatabase {
  constructor(dir, onDeath) {
    this.dir = dir;
    this.onDeath = onDeath;
    this.port = 0;
  }

  async start() {
    const child = spawn(process.execPath, [SERVER, '--port', String(this.port),
      '--dir', path.join(this.dir, 'data'), '--parent', String(process.pid)],
    { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
    const gone = exitOf(child);
    this.child = child;
    const ready = new Promise((done) => {
      readline.createInterface({ input: child.stdout }).once('line', done);
    });
    const line = await Promise.race([ready, gone]);
    if (typeof line !== 'string' || !line.startsWith('ready '))
      throw new Error(`the database did not start: ${line}`);
    gone.then((how) => {
      if (child === this.child) this.onDeath(`the database ended: ${how}`);
    });
    this.url = this.feedUrl = line.slice('ready '.length).replace(/\/$/, '');
    this.port = new URL(this.url).port;
  }

  plan() {
    return `the database (process ${this.child.pid}) is killed by SIGKILL`;
  }

  strike() {
    return this.end('SIGKILL');
  }

  mend() {
    return this.start();
  }

  mended() {
    return `the database is back (process ${this.child.pid}), on port ` +
           `${this.port} as before`;
  }

  stop() {
    return this.end('SIGTERM');
  }

  async end(signal) {
    const child = this.child;
    this.child = undefined; // its end is no accident
    if (child !== undefined) await endChild(child, signal);
  }
}

/** TCP in between: cut, nothing listens and every connection is gone. */
class RelayedDatabase {
  constructor(url) {
    this.url = url.replace(/\/+$/, '');
    this.target = new URL(this.url);
    if (this.target.protocol !== 'http:')
      throw new Error('COUCHDB_URL: the demo breaks the follower\'s connection ' +
                      'by a relay, which it cannot do with ' +
                      `${this.target.protocol}//; give it an http:// URL`);
    this.sockets = new Set();
    this.port = 0;
  }

  relay(from) {
    const to = net.connect({ port: Number(this.target.port || 80),
      host: this.target.hostname.replace(/^\[|\]$/g, '') });
    for (const [socket, other] of [[from, to], [to, from]]) {
      this.sockets.add(socket);
      socket.pipe(other);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
  }

  async start() {
    this.server = net.createServer((socket) => this.relay(socket));
    await new Promise((done, failed) => {
      this.server.once('error', failed);
      this.server.listen(this.port, '127.0.0.1', done);
    });
    this.port = this.server.address().port;
    const at = new URL(this.url);
    this.password = decodeURIComponent(at.password);
    at.password = '';
    at.host = `127.0.0.1:${this.port}`;
    this.feedUrl = at.href.replace(/\/+$/, '');
  }

  plan() {
    return 'COUCHDB_URL names the database, so it is left alone; the relay ' +
           'between it and the follower is cut';
  }

  strike() {
    return this.stop();
  }

  mend() {
    return this.start();
  }

  mended() {
    return `the relay is back, on port ${this.port} as before`;
  }

  async stop() {
    const closed = new Promise((done) => this.server.close(done));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

module.exports = { OwnDatabase, RelayedDatabase };
