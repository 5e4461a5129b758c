'use strict';
// The database server of the demo: couch-serve, which is killed and started
// again; or the one that COUCHDB_URL names, which is not ours to kill.
//
//   url       with user and password, for the environment of programs
//   bareUrl   without the password, for arguments and people
//   password  of the URL's user, if any
//   own       whether it may be killed
//   apps, locks   names of the two databases

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const { Couch, Refused } = require('./couch');
const { beganOf, endChild, pause } = require('./child');

const SERVER = path.join(__dirname, '../../tests/couch-serve/couch-serve.js');
const START_MS = 30000;

class OwnDatabase {
  /** `lasts`: it shall outlive the demo. */
  constructor(processes, { lasts, onDeath }) {
    this.processes = processes;
    this.lasts = lasts;
    this.onDeath = onDeath;
    this.own = true;
    this.apps = 'apps';
    this.locks = 'locks';
    this.port = 0;
  }

  async start() {
    const { dir } = this.processes;
    const portFile = path.join(dir, 'database.port');
    fs.rmSync(portFile, { force: true });
    const child = this.processes.start('database', process.execPath, [SERVER,
      '--port', String(this.port), '--port-file', portFile,
      '--dir', path.join(dir, 'data'),
      ...(this.lasts ? [] : ['--parent', String(process.pid)])]);
    this.child = child;
    child.gone.then((how) => {
      if (child === this.child)
        this.onDeath(`the database ended: ${how}; see database.log`);
    });
    const untilMs = Date.now() + START_MS;
    while (!fs.existsSync(portFile)) { // it appears in whole
      if (beganOf(child.pid) === undefined)
        throw new Error(`the database did not start: ${await child.gone}; ` +
                        'see database.log');
      if (Date.now() > untilMs)
        throw new Error(`the database has not started in ${START_MS / 1000} s`);
      await pause(20);
    }
    this.port = fs.readFileSync(portFile, 'utf8').trim();
    this.url = this.bareUrl = `http://127.0.0.1:${this.port}`;
  }

  async kill() {
    const child = this.child;
    this.child = undefined; // its end is no accident
    await endChild(child, 'SIGKILL');
  }
}

class GivenDatabase {
  constructor(url) {
    this.own = false;
    this.url = url.replace(/\/+$/, '');
    let at;
    try {
      at = new URL(this.url);
    } catch (err) {
      throw new Error('COUCHDB_URL is no URL');
    }
    if (!/^https?:$/.test(at.protocol))
      throw new Error('COUCHDB_URL must begin with http:// or https://');
    this.password = decodeURIComponent(at.password);
    at.password = '';
    this.bareUrl = at.href.replace(/\/+$/, '');
    const name = `changefeed-demo-${crypto.randomBytes(5).toString('hex')}`;
    this.apps = `${name}-apps`;
    this.locks = `${name}-locks`;
  }

  async start() {
    const couch = new Couch(this.url);
    await couch.ask('GET', '/');
    couch.close();
  }
}

/** Deletes databases of the server that COUCHDB_URL names. */
async function deleteDatabases(url, names) {
  const couch = new Couch(url);
  for (const name of names)
    try {
      await couch.ask('DELETE', `/${name}`);
    } catch (err) {
      if (!(err instanceof Refused && err.status === 404)) throw err;
    }
  couch.close();
}

module.exports = { GivenDatabase, OwnDatabase, deleteDatabases };
