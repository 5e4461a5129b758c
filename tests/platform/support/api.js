#!/usr/bin/env node
'use strict';
// A provisioner's API that does what it is told, for the tests of `apps`; it
// writes down what it was asked.
//
//   api.js SCRIPT [--token TOKEN]
//
// SCRIPT is a file of JSON, read again for each request (so that a test can
// change it): a list of steps {match, times, status, headers, body, text,
// delay_ms, then}. A request takes the first step that matches ("POST /apps/a")
// as the beginning of "METHOD /path?query" and that was not taken `times` times
// yet (default: for ever). `then` is "close": the connection ends without an
// answer. Without a step: 404. With --token others are answered 401.
// Prints "ready URL"; on standard error one line of JSON for each request, when
// it was answered.

const fs = require('fs');
const http = require('http');

const [script, ...rest] = process.argv.slice(2);
const options = {};
for (let i = 0; i < rest.length; i += 2) options[rest[i].slice(2)] = rest[i + 1];
const taken = new Map();

// Steps are told apart by what they say: the file may be written anew.
function stepFor(line) {
  for (const step of JSON.parse(fs.readFileSync(script, 'utf8'))) {
    const key = JSON.stringify(step);
    const count = taken.get(key) || 0;
    if (!line.startsWith(step.match) || count >= (step.times || Infinity)) {
      continue;
    }
    taken.set(key, count + 1);
    return step;
  }
  return { status: 404, body: { error: 'There is no such thing.',
    code: 'unknown' } };
}

function answer(req, body, res) {
  const began = Date.now();
  let step = stepFor(`${req.method} ${req.url}`);
  if (options.token && req.headers.authorization !== `Bearer ${options.token}`) {
    step = { status: 401, body: { error: 'No.', code: 'token' } };
  }
  setTimeout(() => {
    console.error(JSON.stringify({ method: req.method, url: req.url, began,
      status: step.status, headers: req.headers,
      body: body === '' ? null : JSON.parse(body) }));
    if (step.then === 'close') return req.socket.destroy();
    const text = step.text === undefined ? JSON.stringify(step.body || {})
      : step.text;
    res.writeHead(step.status || 200, Object.assign({
      'Content-Type': step.text === undefined ? 'application/json'
        : 'text/plain' }, step.headers));
    res.end(text);
  }, step.delay_ms || 0);
}

const server = http.createServer((req, res) => {
  const chunks = [];
  req.on('data', (chunk) => chunks.push(chunk));
  req.on('end', () => answer(req, Buffer.concat(chunks).toString(), res));
});
server.keepAliveTimeout = 60000;
server.listen(0, '127.0.0.1', () => {
  console.log('ready http://127.0.0.1:%d', server.address().port);
});
// It goes with the test that started it.
const parent = process.ppid;
setInterval(() => { if (process.ppid !== parent) process.exit(1); }, 500);
