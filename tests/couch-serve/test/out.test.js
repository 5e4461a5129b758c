'use strict';
// The layout of bytes: rows taken out of CouchDB's recordings go in, and the
// chunks of the recordings must come out.

const assert = require('node:assert');
const { test } = require('node:test');
const { Out } = require('../lib/out');
const { recording, recordings, parseResponse } = require('./helper');

/** What a response does, kept as chunks instead of sent. */
class Sink {
  constructor() {
    this.chunks = [];
    this.headersSent = false;
    this.chunkedEncoding = true;
    this.headers = {};
    this.rest = '';
    this.socket = { writable: true, write: (text) => { this.rest += text; } };
  }

  setHeader(name, value) { this.headers[name] = value; }
  writeHead() { this.headersSent = true; }
  write(text) { this.chunks.push(text); }

  end(last) {
    if (typeof last === 'function') last();
    else this.chunks.push(last);
  }
}

const feedOf = (request) => {
  const feed = /[?&]feed=(\w+)/.exec(request)?.[1] ?? 'normal';
  return feed === 'live' ? 'continuous' : feed;
};

const ROW = /^(?:data: )?(\{("seq":("[^"]*"|null),|"db_name")[^\n]*?\}),?\r?$/gm;
const END = /"last_seq":("[^"]*")(?:,"pending":(\d+))?/;
const isBeat = (chunk) => chunk === '\n' || chunk.startsWith('event: heartbeat');

/** Makes the calls that CouchDB's writer must have seen to send `chunks`:
 *  rows, the waits between them (which flush) and the end. */
function replay(chunks, out, waitedAtEnd) {
  for (const chunk of chunks) {
    if (isBeat(chunk)) {
      const first = out.chunks === 0 && out.bytes === 0 && !out.unbuffered;
      out.waiting();
      if (!first) out.beat();
      continue;
    }
    for (const [, json] of chunk.matchAll(ROW))
      out.text(json, /"seq":("[^"]*"|null)/.exec(json)[1]);
    const end = END.exec(chunk);
    if (!end) continue;
    // An end without rows came after a wait, else it had stood with them.
    if (chunk.startsWith('{"last_seq"') && out.bytes > 0) out.waiting();
    out.end(end[1], end[2] && Number(end[2]));
  }
  if (out.feed !== 'eventsource') return;
  if (waitedAtEnd && out.bytes > 0) out.waiting();
  out.end();
}

const complete = recordings().filter((name) => {
  const { status, headers, complete: whole, request } = recording(name);
  return whole && /^HTTP\/1.1 200/.test(status) &&
    headers.get('Transfer-Encoding') === 'chunked' &&
    /_changes|_db_updates/.test(request.toString().split('\r\n')[0]);
});

test('there are recordings to compare with', () => {
  assert(complete.length > 60, `only ${complete.length} recordings`);
});

for (const name of complete) {
  test(`chunks of ${name}`, () => {
    const { request, chunks, rest } = recording(name);
    const feed = feedOf(request.toString());
    const sink = new Sink();
    const unbuffered = request.includes('/_db_updates');
    const out = new Out(sink, feed, { unbuffered });
    let given = chunks;
    if (given[0].startsWith('{"results"')) {
      out.head(); // this chunk is part of the start
      given = given.slice(1);
    }
    const endedTwice = rest.length > 0;
    if (!endedTwice) given = given.slice(0, -1); // the end's line break
    replay(given, out, endedTwice);
    assert.deepStrictEqual(sink.chunks, chunks);
    assert.strictEqual(sink.rest, rest.toString());
  });
}

test('an event source says what it is', () => {
  const { headers } = parseResponse(Buffer.from('HTTP/1.1 200 OK\r\n' +
    'Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\n'));
  const recorded = recording('eventsource_timeout_1500').headers;
  const sink = new Sink();
  new Out(sink, 'eventsource').head();
  for (const name of headers.keys())
    assert.strictEqual(sink.headers[name], recorded.get(name));
});
