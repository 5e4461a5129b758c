'use strict';
// What the tests share: a server as a child process, a client that sees the
// chunks of a response as they were sent, and the recordings of CouchDB.

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const readline = require('node:readline');
const { after } = require('node:test');

const SCRIPT = path.join(__dirname, '..', 'couch-serve.js');
const WIRE = path.join(__dirname, '..', '..', 'data', 'wire');
const DEADLINE_MS = 20000;

// At the end of a file: what is still open would keep it from ending, and a
// server that no test has stopped must stop as well as the others.
const sockets = new Set();
const running = new Set();
after(async () => {
  for (const socket of sockets) socket.destroy();
  const stops = await Promise.allSettled([...running].map((server) => server.stop()));
  for (const server of running) server.child.kill('SIGKILL');
  for (const { reason } of stops) if (reason) throw reason;
});

/** Fails after a while instead of waiting for ever. */
function within(promise, what, ms = DEADLINE_MS) {
  let timer;
  const late = new Promise((_, failed) => {
    timer = setTimeout(() => failed(new Error(`no ${what} in ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

class Server {
  static async start(...args) {
    const server = new Server();
    server.args = args;
    server.child = spawn(process.execPath, [SCRIPT, '--stdin', ...args],
      { stdio: ['pipe', 'pipe', 'pipe'] });
    running.add(server);
    server.errors = '';
    server.child.stderr.on('data', (data) => { server.errors += data; });
    server.exited = once(server.child, 'exit');
    const lines = readline.createInterface({ input: server.child.stdout });
    const [line] = await within(Promise.race([once(lines, 'line'),
      server.exited.then(() => [`exit: ${server.errors}`])]), 'ready line');
    const match = /^ready (http:\/\/.*\/)$/.exec(line);
    assert(match, `expected the ready line, got: ${line}`);
    server.url = new URL(match[1]);
    return server;
  }

  get port() { return Number(this.url.port); }

  async kill(signal = 'SIGKILL') {
    this.child.kill(signal);
    const end = await within(this.exited, `exit after ${signal}`);
    running.delete(this);
    return end;
  }

  /** As at the end of a test in which nothing went wrong. */
  async stop() {
    assert.deepStrictEqual(await this.kill('SIGTERM'), [0, null]);
    assert.strictEqual(this.errors, '', 'nothing on standard error');
  }

  /** @returns {Promise<{status, headers, body}>} body parsed if it is JSON */
  async ask(method, resource, body, headers = {}) {
    const init = { method, headers: { ...headers } };
    if (body !== undefined) {
      init.body = typeof body === 'string' ? body : JSON.stringify(body);
      init.headers['Content-Type'] ??= 'application/json';
    }
    const response = await within(fetch(new URL(resource, this.url), init),
      `answer to ${method} ${resource}`);
    const text = await response.text();
    let parsed = text;
    try { parsed = JSON.parse(text); } catch (err) { /* stays text */ }
    return { status: response.status, headers: response.headers, body: parsed };
  }

  async ok(...request) {
    const { status, body } = await this.ask(...request);
    assert(status >= 200 && status < 300,
      `${request[0]} ${request[1]}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  /** A request of which every chunk is seen. */
  feed(resource, { method = 'GET', headers = {}, body } = {}) {
    const lines = [`${method} ${resource} HTTP/1.1`, 'Host: x'];
    const all = { ...headers };
    if (body !== undefined) {
      all['Content-Type'] = 'application/json';
      all['Content-Length'] = Buffer.byteLength(body);
    }
    for (const [name, value] of Object.entries(all)) lines.push(`${name}: ${value}`);
    return this.send(lines.join('\r\n') + '\r\n\r\n' + (body ?? ''));
  }

  /** The bytes of a request as they are. */
  send(bytes) {
    return new Wire(net.connect(this.port, this.url.hostname), bytes);
  }
}

/** A response in the making: its head and its chunks. */
class Wire {
  constructor(socket, request) {
    this.socket = socket;
    this.bytes = Buffer.alloc(0);
    this.closed = false;
    this.news = [];
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (data) => {
      this.bytes = Buffer.concat([this.bytes, data]);
      this.tell();
    });
    for (const event of ['end', 'close', 'error'])
      socket.on(event, () => { this.closed = true; this.tell(); });
    socket.write(request);
  }

  tell() {
    for (const wake of this.news.splice(0)) wake();
  }

  close() {
    this.socket.destroy();
  }

  parsed() {
    return parseResponse(this.bytes);
  }

  /** Waits until `holds(parsed, wire)` is true; gives the parsed response. */
  async until(holds, what) {
    const wait = async () => {
      while (!holds(this.parsed(), this)) {
        assert(!this.closed, `closed before ${what}: ${this.bytes}`);
        await new Promise((wake) => this.news.push(wake));
      }
    };
    await within(wait(), what);
    return this.parsed();
  }

  ended() {
    return this.until((p) => p && p.complete, 'end of response');
  }
}

/** The first response in `bytes`: status line, headers, body chunks. */
function parseResponse(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [status, ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const headers = new Map(lines.map((line) => {
    const at = line.indexOf(': ');
    return [line.slice(0, at), line.slice(at + 2)];
  }));
  const chunks = [];
  let at = end + 4, complete = false;
  if (headers.get('Transfer-Encoding') !== 'chunked') {
    const length = Number(headers.get('Content-Length') ?? 0);
    const body = bytes.toString('utf8', at, at + length);
    return { status, headers, chunks: [body], body,
      complete: bytes.length >= at + length, rest: bytes.subarray(at + length) };
  }
  for (;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) break;
    const digits = bytes.toString('latin1', at, line);
    if (!/^[0-9a-f]+ *$/i.test(digits)) break; // a second response in the first
    const size = parseInt(digits, 16);
    if (bytes.length < line + 4 + size) break;
    at = line + 4 + size;
    if (size === 0) { complete = true; break; }
    chunks.push(bytes.toString('utf8', line + 2, line + 2 + size));
  }
  return { status, headers, chunks, body: chunks.join(''), complete,
    rest: bytes.subarray(at) };
}

/** A recording: the request's bytes and the parsed response. */
function recording(name) {
  const read = (kind) => fs.readFileSync(path.join(WIRE, `${name}.${kind}`));
  return { request: read('request'), ...parseResponse(read('response')) };
}

const recordings = () => fs.readdirSync(WIRE)
  .filter((file) => file.endsWith('.response'))
  .map((file) => file.slice(0, -'.response'.length));

/** The rows in a body or a chunk, whatever the feed. */
function rowsOf(text) {
  return [...text.matchAll(/^(?:data: )?(\{"(?:seq|db_name)":[^\n]*?\}),?\r?$/gm)]
    .map((match) => JSON.parse(match[1]));
}

/** Several writers at once on `name`: bulks of new documents, updates,
 *  deletions and revivals. */
async function writeALot(server, name, { writers = 4, rounds = 10, docs = 50 }) {
  const dies = (d, round) => (d + round) % 5 === 0 ||
    (round >= rounds - 2 && d % 2 === 0);
  const writer = async (w) => {
    const revs = new Map();
    for (let round = 0; round < rounds; round++) {
      const bulk = [];
      for (let d = 0; d < docs; d++) {
        const _id = `w${w}-${(round * 7 + d) % (docs * 2)}`;
        const known = revs.get(_id);
        bulk.push({ _id, ...(known && { _rev: known.rev }), n: round, w,
          ...(known && !known.deleted && dies(d, round) && { _deleted: true }) });
      }
      const results = await server.ok('POST', `/${name}/_bulk_docs`, { docs: bulk });
      results.forEach((result, i) => {
        assert(result.ok, JSON.stringify(result));
        revs.set(result.id, { rev: result.rev, deleted: bulk[i]._deleted });
      });
    }
    return revs;
  };
  const all = await Promise.all([...Array(writers).keys()].map(writer));
  return new Map(all.flatMap((revs) => [...revs].map(([id, { rev, deleted }]) =>
    [id, deleted ? `${rev} deleted` : rev])));
}

/** id -> newest rev, in the order given. */
function lastRevs(rows) {
  return new Map(rows.map((row) =>
    [row.id, row.changes[0].rev + (row.deleted ? ' deleted' : '')]));
}

module.exports = { Server, Wire, SCRIPT, within, parseResponse, recording,
  recordings, rowsOf, writeALot, lastRevs };
