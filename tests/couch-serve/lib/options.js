'use strict';
// The command line of couch-serve: what it takes, what it refuses, its help.

const { parseArgs } = require('util');

const USAGE = `Usage: node couch-serve.js [OPTION]...
A database for tests and demos: PouchDB's storage behind CouchDB 3.5's feeds.
Prints "ready http://HOST:PORT/" once it listens.

  --port N             port to listen on, 0 for a free one (default 0)
  --host ADDRESS       address to listen on (default 127.0.0.1)
  --dir DIR            keep the data in DIR; without it, in memory
  --admin NAME:PASS    a server admin; without one, everybody is admin
  --require-valid-user refuse requests without a user
  --session-timeout S  seconds until a login's cookie expires (default 600)
  --stock              express-pouchdb's own feeds and errors: integer
                       sequences, no pending, no end of continuous feeds
  --log                a line on standard error for each request
  --port-file FILE     write the port to FILE once it listens
  --parent PID         stop when process PID is no more
  --stdin              stop at the end of standard input
  --help               this text
`;

class UsageError extends Error {}

function integer(name, text, least, most) {
  const n = /^\d+$/.test(text) ? Number(text) : -1;
  if (n < least || n > most) {
    throw new UsageError(
      `--${name} must be an integer from ${least} to ${most}, not "${text}"`);
  }
  return n;
}

function parse(argv) {
  let values;
  try {
    ({ values } = parseArgs({ args: argv, options: {
      'port': { type: 'string', default: '0' },
      'host': { type: 'string', default: '127.0.0.1' },
      'dir': { type: 'string' },
      'admin': { type: 'string' },
      'require-valid-user': { type: 'boolean', default: false },
      'session-timeout': { type: 'string', default: '600' },
      'stock': { type: 'boolean', default: false },
      'log': { type: 'boolean', default: false },
      'port-file': { type: 'string' },
      'parent': { type: 'string' },
      'stdin': { type: 'boolean', default: false },
      'help': { type: 'boolean', default: false },
    } }));
  } catch (err) {
    throw new UsageError(err.message);
  }
  const { admin, parent, dir, host } = values;
  if (admin !== undefined && !/^[^:]+:./.test(admin))
    throw new UsageError('--admin must be NAME:PASSWORD, neither of them empty');
  if (values['require-valid-user'] && admin === undefined)
    throw new UsageError('--require-valid-user needs --admin NAME:PASSWORD');
  for (const [name, text] of Object.entries({ dir, host,
    'port-file': values['port-file'] }))
    if (text === '') throw new UsageError(`--${name} must not be empty`);
  const colon = admin === undefined ? 0 : admin.indexOf(':');
  return {
    host, dir,
    port: integer('port', values.port, 0, 65535),
    admin: admin && { name: admin.slice(0, colon), password: admin.slice(colon + 1) },
    requireValidUser: values['require-valid-user'],
    sessionTimeout: integer('session-timeout', values['session-timeout'], 1, 1e9),
    stock: values.stock, log: values.log, stdin: values.stdin, help: values.help,
    portFile: values['port-file'],
    parent: parent && integer('parent', parent, 1, 2 ** 22),
  };
}

module.exports = { parse, UsageError, USAGE };
