'use strict';
// The changefeed command as a child: its rows and events as they come, and the
// last that it said of each document.

const { EventEmitter } = require('events');
const fs = require('fs');
const path = require('path');
const readline = require('readline');

const { endChild } = require('./child');

const RETRY_MS = 4000; // nobody wants to wait a minute for the next attempt

/** Emits "row" { seq, id, rev, deleted }, "event" (a line of --events) and
 *  "over" (a sentence) when it ends unasked. */
class Follower extends EventEmitter {
  /** `env`: variables besides this process's. */
  constructor(processes, command, url, env) {
    super();
    this.processes = processes;
    this.command = command;
    this.url = url;
    this.env = env;
    this.files = {
      rows: fs.createWriteStream(path.join(processes.dir, 'rows.tsv')),
      events: fs.createWriteStream(path.join(processes.dir, 'events.jsonl')),
    };
    this.last = new Map(); // id: { rev, deleted }
    this.rows = this.retries = this.resets = 0;
    this.stopping = false;
  }

  start() {
    this.child = this.processes.start('changefeed', this.command,
      ['--format=tsv', '--events', '--stats', `--retry_max_ms=${RETRY_MS}`,
        this.url], { stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.env } });
    this.gone = this.child.gone;
    this.read = Promise.all([
      this.lines(this.child.stdout, this.files.rows, (line) => this.row(line)),
      this.lines(this.child.stderr, this.files.events,
        (line) => this.event(line)),
    ]);
    this.read.catch((err) => this.emit('over', err.message));
    this.gone.then((how) => {
      if (!this.stopping)
        this.emit('over', `the follower ended: ${how}` +
          (this.message ? `, ${this.message}` : ''));
    });
  }

  /** Resolves when the stream is at its end and its copy written. */
  lines(stream, file, take) {
    const reader = readline.createInterface({ input: stream });
    reader.on('line', (line) => {
      file.write(`${line}\n`);
      take(line);
    });
    return new Promise((done, failed) => {
      file.on('error', failed);
      reader.on('close', () => file.end(done));
    });
  }

  row(line) {
    const [seq, id, rev, deleted] = line.split('\t');
    this.rows++;
    this.last.set(id, { rev, deleted: deleted === '1' });
    this.emit('row', { seq, id, rev, deleted: deleted === '1' });
  }

  event(line) {
    let event;
    try {
      event = JSON.parse(line);
    } catch (err) {
      event = { event: 'text', message: line };
    }
    if (event.event === 'state') this.state = event.state;
    if (event.event === 'retry') this.retries++;
    if (event.event === 'reset') this.resets++;
    if (event.event === 'stats') this.stats = event;
    if (event.event === 'end' || event.event === 'text')
      this.message = event.message;
    this.emit('event', event);
  }

  /** Ends it as an operator would, and resolves to how it ended. */
  async stop() {
    if (this.child === undefined) return undefined;
    this.stopping = true;
    await endChild(this.child, 'SIGTERM');
    await this.read;
    return this.gone;
  }
}

module.exports = { Follower };
