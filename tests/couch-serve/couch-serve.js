#!/usr/bin/env node
'use strict';
// The command: options, listening, the ready line, and when to stop. A signal
// stops it at once, in mid-row if it comes so: followers of a real server see
// nothing else, and the storage is as safe as after SIGKILL.

const fs = require('fs');
const { parse, UsageError, USAGE } = require('./lib/options');

const BIND_TRIES_MS = 5000;
const BIND_PAUSE_MS = 50;
const PARENT_CHECK_MS = 200;

// express-pouchdb leaves promises without a catch: one bad request to its own
// routes must not end the server.
process.on('unhandledRejection', (err) => {
  console.error('couch-serve: unhandled: %s', (err && err.stack) || err);
});
process.noDeprecation = true; // what old modules use is not our news
require('events').defaultMaxListeners = 0; // a listener for each open feed

function watchParent(pid) {
  const timer = setInterval(() => {
    try {
      process.kill(pid, 0);
    } catch (err) {
      if (err.code === 'ESRCH') process.exit(0);
    }
  }, PARENT_CHECK_MS);
  timer.unref();
}

/** A fixed port may still belong to the process that was just killed, or be
 *  the local end of a connection: tried again for a while. */
function listen(server, { host, port }) {
  const until = Date.now() + BIND_TRIES_MS;
  return new Promise((done, failed) => {
    const attempt = () => server.listen({ host, port, backlog: 4096 });
    const refused = (err) => {
      if (port !== 0 && err.code === 'EADDRINUSE' && Date.now() < until)
        setTimeout(attempt, BIND_PAUSE_MS);
      else failed(err);
    };
    server.on('error', refused);
    server.once('listening', () => {
      server.off('error', refused);
      done(server.address().port);
    });
    attempt();
  });
}

function writePort(file, port) {
  fs.writeFileSync(`${file}.new`, `${port}\n`);
  fs.renameSync(`${file}.new`, file);
}

async function main() {
  const options = parse(process.argv.slice(2));
  if (options.help) return process.stdout.write(USAGE);
  for (const signal of ['SIGTERM', 'SIGINT'])
    process.on(signal, () => process.exit(0));
  if (options.stdin) {
    process.stdin.on('end', () => process.exit(0));
    process.stdin.on('error', () => process.exit(0));
    process.stdin.resume();
  }
  if (options.parent) watchParent(options.parent);
  const { makeServer } = require('./lib/server');
  const port = await listen(await makeServer(options), options);
  if (options.portFile) writePort(options.portFile, port);
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return console.log('ready http://%s:%d/', host, port);
}

main().catch((err) => {
  if (err instanceof UsageError) {
    console.error('couch-serve: %s. See --help.', err.message);
    process.exit(2);
  }
  console.error('couch-serve: cannot start: %s', err.message);
  process.exit(1);
});
