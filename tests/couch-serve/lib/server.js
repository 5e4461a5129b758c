'use strict';
// Puts the server together: PouchDB on its storage, express-pouchdb for
// documents, users and sessions, and before it the feeds of front.js; with
// `stock` express-pouchdb alone. Does not listen and owns no signals.

const { randomBytes } = require('crypto');
const fs = require('fs');
const http = require('http');
const path = require('path');
const { Databases, noDatabase } = require('./databases');
const { Front, refusal } = require('./front');
const { hookAfterAuthentication, keepBulksInOrder } = require('./overrides');
const { HttpError, badArgument, fail, prepare, send } = require('./reply');
const { GlobalChanges } = require('./updates');

const REASONS = {
  'no_db_file': 'Database does not exist.',
  'invalid_json': 'invalid UTF-8 JSON',
  'Document update conflict': 'Document update conflict.',
};
// Parts of express-pouchdb that front.js replaces or that only cost time. A
// feed is never compressed by CouchDB.
const UNUSED = ['compression', 'disk-size', 'replicator', 'routes/http-log',
  'routes/log', 'routes/fauxton', 'routes/vhosts', 'routes/rewrite',
  'routes/cluster-rewrite', 'routes/root', 'routes/all-dbs',
  'routes/db-updates', 'routes/changes'];

function makePouch(dir) {
  const PouchDB = require('pouchdb-core')
    .plugin(require('pouchdb-adapter-http'))
    .plugin(require('pouchdb-mapreduce'))
    .plugin(require('pouchdb-replication'));
  // No `adapter` among the defaults: it would turn the http:// names of
  // _replicate into local databases.
  if (!dir) return PouchDB.plugin(require('pouchdb-adapter-memory')).defaults({});
  fs.mkdirSync(dir, { recursive: true });
  const prefix = path.resolve(dir) + path.sep;
  return PouchDB.plugin(require('pouchdb-adapter-leveldb')).defaults({ prefix });
}

/** express-pouchdb's helpers, made to speak as CouchDB 3 does. */
function adaptUtils(utils, databases) {
  const word = (body) => body && body.error && REASONS[body.reason] ?
    { ...body, reason: REASONS[body.reason] } : body;
  utils.sendJSON = (res, status, body) => {
    if (res.headersSent) return undefined; // the database's end came first
    if (status === 401 && res.req.couchSession) {
      const as = refusal(res.req, new HttpError(401, body.error, body.reason));
      return fail(res, as);
    }
    return send(res, status, Array.isArray(body) ? body.map(word) : word(body));
  };
  utils.setJsonOrPlaintext = (res) =>
    res.setHeader('Content-Type', 'application/json');
  utils.setDBOnReq = async (name, dbWrapper, req, res, next) => {
    try {
      const database = databases.get(name);
      if (!database) throw noDatabase();
      database.track(res);
      req.db = await database.pouch;
    } catch (err) {
      return fail(res, err);
    }
    return next();
  };
}

/** CouchDB's session cookie: it has an age, and is renewed only when a tenth
 *  of it has passed. express-pouchdb renews it with each answer. */
function adaptCookies(req, res, timeout) {
  const bornAt = (session) => parseInt(
    Buffer.from(session, 'base64url').toString('latin1').split(':')[1], 16);
  res.cookie = (name, value) => {
    const sent = /(?:^|;\s*)AuthSession=([\w-]+)/.exec(req.headers.cookie || '');
    const age = sent ? bornAt(value) - bornAt(sent[1]) : timeout;
    const renew = req.url.startsWith('/_session') || age >= timeout / 10;
    if (!renew) return;
    const expires = new Date(Date.now() + timeout * 1000).toUTCString();
    res.setHeader('Set-Cookie', `${name}=${value}; Version=1; ` +
      `Expires=${expires}; Max-Age=${timeout}; Path=/; HttpOnly`);
  };
}

/** What is not base64 where a user should be is a crash in CouchDB. */
const brokenBasic = ({ headers: { authorization = '' } }) =>
  /^Basic /i.test(authorization) && !/^Basic +[\w+/]*=*$/i.test(authorization);

const setting = (config, section, key, value) =>
  new Promise((done, failed) =>
    config.set(section, key, value, (err) => err ? failed(err) : done()));

/** The server's uuid and the secret of its sessions live as long as its data.
 *  express-pouchdb's own file of settings is written twice at once when it
 *  exists at the start, so it is not used. */
function identityOf(dir) {
  const fresh = () => randomBytes(16).toString('hex');
  const file = dir && path.join(dir, 'couch-serve.json');
  if (file && fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, 'utf8'));
  const identity = { uuid: fresh(), secret: fresh() };
  if (file) {
    fs.writeFileSync(`${file}.new`, JSON.stringify(identity) + '\n', { mode: 0o600 });
    fs.renameSync(`${file}.new`, file);
  }
  return identity;
}

async function configure(config, { dir, admin, sessionTimeout }) {
  const { uuid, secret } = identityOf(dir);
  await setting(config, 'couchdb', 'uuid', uuid);
  await setting(config, 'couch_httpd_auth', 'secret', secret);
  await setting(config, 'couch_httpd_auth', 'timeout', sessionTimeout);
  if (admin) await setting(config, 'admins', admin.name, admin.password);
  return uuid;
}

function makeCouch(options, firstHook) {
  if (firstHook) {
    hookAfterAuthentication(firstHook);
    keepBulksInOrder();
  }
  const couch = require('express-pouchdb')({
    inMemoryConfig: true, logPath: '/dev/null',
    overrideMode: { exclude: options.stock ? ['compression'] : UNUSED },
  });
  return couch.disable('x-powered-by');
}

function logLine(req, res) {
  const { method, url } = req, start = Date.now();
  res.on('close', () => console.error('%s %s %d %d ms', method, url,
    res.statusCode, Date.now() - start));
}

/** @returns {Promise<http.Server>} ready to listen */
async function makeServer(options) {
  const PouchDB = makePouch(options.dir);
  let front;
  const couch = makeCouch(options, options.stock ? undefined :
    (req, res, next) => front.handle(req, res, next));
  if (!options.stock) couch.use((err, req, res, next) => fail(res, err));
  const uuid = await configure(couch.couchConfig, options);
  await couch.setPouchDB(PouchDB);
  if (!options.stock) {
    const utils = require('express-pouchdb/lib/utils');
    const prefix = options.dir ? path.resolve(options.dir) + path.sep : '';
    const databases = new Databases(PouchDB, couch.dbWrapper,
      { secure: Boolean(options.admin), prefix });
    adaptUtils(utils, databases);
    await databases.load();
    const updates = new GlobalChanges(databases);
    await updates.start();
    front = new Front({ databases, updates, utils, uuid,
      requireValidUser: options.requireValidUser });
  }
  const server = http.createServer((req, res) => {
    if (options.log) logLine(req, res);
    if (!options.stock) {
      prepare(req, res);
      adaptCookies(req, res, options.sessionTimeout);
      if (brokenBasic(req)) return fail(res, badArgument());
    }
    return couch(req, res);
  });
  server.keepAliveTimeout = 300000; // 5 s would close pooled connections
  return server;
}

module.exports = { makeServer };
