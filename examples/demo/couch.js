'use strict';
// Requests over HTTP: to the database, the provisioner's API, balancers. They
// try nothing again.

const http = require('http');
const https = require('https');

const ANSWER_MS = 10000;

/** One request; resolves to { status, headers, body, ms }, whatever the status
 *  is, and rejects when there was no answer. `options` are http.request's. */
function request({ body, secure = false, ...options }) {
  const beganMs = Date.now();
  const headers = { ...options.headers };
  if (body !== undefined) headers['content-length'] = Buffer.byteLength(body);
  const what = `${options.method || 'GET'} ${options.path}`;
  return new Promise((done, failed) => {
    const it = (secure ? https : http).request(
      { timeout: ANSWER_MS, ...options, headers });
    it.on('error', failed);
    it.on('timeout', () => it.destroy(
      new Error(`${what}: no answer in ${ANSWER_MS} ms`)));
    it.on('response', (response) => {
      let got = '';
      response.setEncoding('utf8');
      response.on('error', failed);
      response.on('data', (part) => { got += part; });
      response.on('end', () => done({ status: response.statusCode,
        headers: response.headers, body: got, ms: Date.now() - beganMs }));
    });
    it.end(body);
  });
}

/** The server said no. An error without status: it said nothing. */
class Refused extends Error {
  constructor(method, path, { status, body }) {
    super(`${method} ${path}: HTTP ${status} ${body.slice(0, 300)}`);
    this.status = status;
  }
}

/** A server that speaks JSON. */
class Couch {
  /** url may hold user:password and a path. */
  constructor(url, headers = {}) {
    const at = new URL(url);
    const secure = at.protocol === 'https:';
    this.agent = new (secure ? https : http).Agent({ keepAlive: true });
    this.base = {
      secure, agent: this.agent,
      hostname: at.hostname.replace(/^\[|\]$/g, ''), // of IPv6
      port: at.port,
    };
    this.headers = { 'accept': 'application/json',
      'content-type': 'application/json', ...headers };
    this.path = at.pathname.replace(/\/+$/, '');
    if (at.username !== '')
      this.base.auth = decodeURIComponent(at.username) + ':' +
                       decodeURIComponent(at.password);
  }

  /** Whatever is answered: { status, json, ... }. */
  async call(method, path, body) {
    const answer = await request({ ...this.base, method,
      path: this.path + path, headers: this.headers,
      body: body === undefined ? undefined : JSON.stringify(body) });
    try {
      answer.json = JSON.parse(answer.body);
    } catch (err) {
      throw new Error(`${method} ${path}: HTTP ${answer.status}, and no JSON`);
    }
    return answer;
  }

  /** The JSON of an answer that is no error. */
  async ask(method, path, body) {
    const answer = await this.call(method, path, body);
    if (answer.status < 200 || answer.status > 299)
      throw new Refused(method, path, answer);
    return answer.json;
  }

  /** Every document of a database, and of these ids also what was deleted:
   *  a Map of id to { rev, deleted }. */
  async revisions(db, ids = []) {
    const all = await this.ask('GET', `/${db}/_all_docs`);
    const some = ids.length === 0 ? { rows: [] }
      : await this.ask('POST', `/${db}/_all_docs`, { keys: ids });
    return new Map([...all.rows, ...some.rows]
      .filter((row) => row.value)
      .map((row) => [row.id,
        { rev: row.value.rev, deleted: row.value.deleted === true }]));
  }

  close() {
    this.agent.destroy();
  }
}

module.exports = { Couch, Refused, request };
