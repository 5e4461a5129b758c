#!/usr/bin/env node
'use strict';
// A server for the tests of the command that a real database cannot be: it
// answers what it is told to, and writes down what it was asked.
//
//   peer.js [--rows FILE] [--then FILE --after-ms N] [--live FILE]
//           [--status N] [--reason TEXT] [--uuid TEXT] [--silent] [--user NAME:PASSWORD] [--port N]
//
// --rows FILE   the whole body of _changes?feed=normal (else: no rows)
// --then FILE   the rest of that body, --after-ms N later
// --live FILE   what a live feed gets before heartbeats
// --status N    of all answers but that of GET /, with --reason in their body
// --silent      accepts and never answers
// --user A:B    401 for everybody else
// --uuid TEXT   of the server
// Prints "ready URL"; on standard error a line of JSON for each request.

const fs = require('fs');
const http = require('http');

const options = { uuid: 'peer', status: '200', reason: 'It was told to.' };
for (let i = 2; i < process.argv.length; i++) {
  const name = process.argv[i].slice(2);
  options[name] = name === 'silent' ? true : process.argv[++i];
}
const empty = '{"results":[\n],"last_seq":"0","pending":0}\n';
const rows = options.rows ? fs.readFileSync(options.rows) : empty;
const live = options.live ? fs.readFileSync(options.live) : '';
const then = options.then && fs.readFileSync(options.then);
const wanted =
  options.user && `Basic ${Buffer.from(options.user).toString('base64')}`;

function answer(req, res) {
  const url = new URL(req.url, 'http://peer');
  const { authorization } = req.headers;
  console.error(JSON.stringify({ method: req.method, path: url.pathname,
    query: Object.fromEntries(url.searchParams), headers: req.headers }));
  if (options.silent) return;
  if (wanted && authorization !== wanted) {
    res.writeHead(401, { 'Content-Type': 'application/json' });
    res.end('{"error":"unauthorized","reason":"Name or password wrong."}\n');
    return;
  }
  if (url.pathname === '/') {
    res.end(JSON.stringify({ couchdb: 'Welcome', version: '3.5.0',
      uuid: options.uuid }));
    return;
  }
  if (options.status !== '200') {
    res.writeHead(Number(options.status));
    res.end(JSON.stringify({ error: 'told', reason: options.reason }));
    return;
  }
  if (!url.pathname.endsWith('/_changes')) {
    res.end('{"db_name":"db","instance_start_time":"1700000000"}\n');
  } else if (url.searchParams.get('feed') === 'normal') {
    if (!then) return res.end(rows);
    res.write(rows);
    setTimeout(() => res.end(then), Number(options['after-ms']));
  } else {
    res.write(live);
    setInterval(() => res.write('\n'), 1000).unref();
  }
}

const server = http.createServer(answer);
server.listen(Number(options.port || 0), '127.0.0.1', () => {
  console.log('ready http://127.0.0.1:%d', server.address().port);
});
