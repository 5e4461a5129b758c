'use strict';
// JSON answers with CouchDB's headers and error bodies. An HttpError is an
// answer to be given; whoever catches one hands it to fail(). Feeds write
// their own bodies (out.js) but share the headers set by prepare().

const { randomBytes } = require('crypto');

const NODE_MAJOR = parseInt(process.versions.node, 10);

class HttpError extends Error {
  constructor(status, error, reason, more) {
    super(reason);
    Object.assign(this, { status, error, reason, more });
  }
}

const badRequest = (reason) => new HttpError(400, 'bad_request', reason);
const notFound = (reason) => new HttpError(404, 'not_found', reason);

// What Erlang's badarg becomes on the wire; "ref" differs each time.
const badArgument = () =>
  new HttpError(500, 'unknown_error', 'badarg', {
    ref: randomBytes(4).readUInt32BE(),
  });

function prepare(req, res) {
  res.setHeader('Cache-Control', 'must-revalidate');
  res.setHeader('Server', 'CouchDB/3.5.0 (couch-serve)');
  res.setHeader('X-Couch-Request-ID', randomBytes(5).toString('hex'));
  res.setHeader('X-CouchDB-Body-Time', '0');
  // CouchDB names the connection only when it closes it. Node 18 would close
  // it for want of the name.
  if (res.shouldKeepAlive && NODE_MAJOR >= 20) res.removeHeader('Connection');
}

function send(res, status, body) {
  const bytes = Buffer.from(JSON.stringify(body) + '\n');
  res.statusCode = status;
  if (status === 404) res.statusMessage = 'Object Not Found';
  res.setHeader('Content-Type', 'application/json');
  res.setHeader('Content-Length', bytes.length);
  res.end(res.req.method === 'HEAD' ? undefined : bytes);
}

function fail(res, err) {
  if (res.headersSent) return res.destroy();
  if (err instanceof HttpError) {
    const { status, error, reason, more } = err;
    return send(res, status, { error, reason, ...more });
  }
  // PouchDB's own errors carry a status, a name and a reason.
  if (err.status >= 400 && err.status < 500) {
    const body = { error: err.name, reason: err.reason || err.message };
    return send(res, err.status, body);
  }
  console.error('couch-serve: %s %s: %s', res.req.method, res.req.url,
    err.stack || err);
  return send(res, 500, { error: 'unknown_error', reason: String(err.message) });
}

module.exports = {
  HttpError, badRequest, notFound, badArgument, prepare, send, fail,
};
