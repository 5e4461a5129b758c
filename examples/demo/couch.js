'use strict';
// Requests to the database: JSON in, JSON out. It tries nothing again.

const http = require('http');
const https = require('https');

const ANSWER_MS = 10000;

/** The server said no. An error without status: it said nothing. */
class Refused extends Error {
  constructor(method, path, status, body) {
    super(`${method} ${path}: HTTP ${status} ${JSON.stringify(body)}`);
    this.status = status;
  }
}

class Couch {
  /** url may hold user:password and a path. */
  constructor(url) {
    const at = new URL(url);
    this.http = at.protocol === 'https:' ? https : http;
    this.agent = new this.http.Agent({ keepAlive: true });
    this.base = {
      protocol: at.protocol,
      hostname: at.hostname.replace(/^\[|\]$/g, ''), // of IPv6
      port: at.port,
    };
    this.path = at.pathname.replace(/\/+$/, '');
    if (at.username !== '')
      this.base.auth = decodeURIComponent(at.username) + ':' +
                       decodeURIComponent(at.password);
  }

  ask(method, path, body) {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = { 'accept': 'application/json' };
    if (text !== '') {
      headers['content-type'] = 'application/json';
      headers['content-length'] = Buffer.byteLength(text);
    }
    return new Promise((done, failed) => {
      const request = this.http.request({ ...this.base, method, headers,
        path: this.path + path, agent: this.agent, timeout: ANSWER_MS });
      request.on('error', failed);
      request.on('timeout', () => request.destroy(
        new Error(`${method} ${path}: no answer in ${ANSWER_MS} ms`)));
      request.on('response', (response) => {
        let got = '';
        response.setEncoding('utf8');
        response.on('error', failed);
        response.on('data', (part) => { got += part; });
        response.on('end', () => {
          let answer;
          try {
            answer = JSON.parse(got);
          } catch (err) {
            return failed(new Error(`${method} ${path}: ${err.message}`));
          }
          if (response.statusCode < 200 || response.statusCode > 299)
            return failed(
              new Refused(method, path, response.statusCode, answer));
          return done(answer);
        });
      });
      request.end(text);
    });
  }

  /** Every document of a database, and of these ids also what was deleted:
   *  a Map of id to { rev, deleted }. */
  async revisions(db, ids) {
    const all = await this.ask('GET', `/${db}/_all_docs`);
    const some = await this.ask('POST', `/${db}/_all_docs`, { keys: ids });
    return new Map([...all.rows, ...some.rows]
      .filter((row) => row.value)
      .map((row) => [row.id,
        { rev: row.value.rev, deleted: row.value.deleted === true }]));
  }

  close() {
    this.agent.destroy();
  }
}

module.exports = { Couch, Refused };
