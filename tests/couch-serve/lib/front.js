'use strict';
// What stands before express-pouchdb's routes, after its authentication: the
// server's own resources, the life of databases, and _changes. Also CouchDB
// 3's rules on who may do it, and its words, where express-pouchdb's are older.

const { serveChanges } = require('./changes');
const { noDatabase } = require('./databases');
const { HttpError, badRequest, fail, send } = require('./reply');

const SYSTEM_DATABASES = new Set(['_users', '_replicator', '_global_changes']);
const NAME_FORM = /^[a-z][a-z0-9_$()+/-]*$/;
const NO_READER = 'You are not authorized to access this db.';

const unauthorized = (reason) => new HttpError(401, 'unauthorized', reason);
const onlyMethods = (res, ...methods) => {
  res.set('Allow', methods.join());
  return new HttpError(405, 'method_not_allowed',
    `Only ${methods.join()} allowed`);
};

function requireAdmin(req) {
  if (!req.couchSession.userCtx.roles.includes('_admin'))
    throw unauthorized('You are not a server admin.');
}

/** PouchDB knows only 401; who has a name gets 403. */
function refusal(req, err) {
  if (err.status !== 401 || err.message !== NO_READER) return err;
  return req.couchSession.userCtx.name === null ? unauthorized(NO_READER) :
    new HttpError(403, 'forbidden', 'You are not allowed to access this db.');
}

function segmentsOf(req) {
  try {
    return req.path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch (err) {
    throw badRequest('invalid_url_encoding');
  }
}

class Front {
  constructor({ databases, updates, utils, uuid, requireValidUser }) {
    Object.assign(this, { databases, updates, utils, uuid, requireValidUser });
  }

  /** As middleware. */
  handle(req, res, next) {
    this.route(req, res).then(
      (handled) => { if (handled === false) next(); },
      (err) => fail(res, refusal(req, err)));
  }

  /** @returns false when express-pouchdb shall answer */
  async route(req, res) {
    const [first, second, ...rest] = segmentsOf(req);
    if (first === '_up') return send(res, 200, { status: 'ok', seeds: {} });
    const anonymous = req.couchSession.userCtx.name === null;
    if (this.requireValidUser && anonymous && first !== '_session')
      throw unauthorized('Authentication required.');
    switch (first) {
      case undefined: return this.welcome(req, res);
      case '_all_dbs':
        requireAdmin(req);
        return send(res, 200, this.databases.names());
      case '_db_updates':
        requireAdmin(req);
        return this.updates.serve(req, res);
    }
    if (first.startsWith('_') && !SYSTEM_DATABASES.has(first)) {
      const alone = second === undefined && first !== '_session';
      if (alone && /^(?:PUT|DELETE)$/.test(req.method)) throw illegalName(first);
      return false;
    }
    if (second === undefined) return this.database(first, req, res);
    if (second === '_changes' && rest.length === 0)
      return this.changes(first, req, res);
    return false;
  }

  welcome(req, res) {
    if (req.method !== 'GET' && req.method !== 'HEAD')
      throw onlyMethods(res, 'GET', 'HEAD');
    send(res, 200, {
      couchdb: 'Welcome', version: '3.5.0', git_sha: '11f0d3643',
      uuid: this.uuid, features: [], vendor: { name: 'couch-serve' },
    });
  }

  async database(name, req, res) {
    switch (req.method) {
      case 'PUT':
        requireAdmin(req);
        if (!NAME_FORM.test(name) && !SYSTEM_DATABASES.has(name))
          throw illegalName(name);
        await this.databases.create(name);
        this.updates.note('created', name);
        res.set('Location', `http://${req.headers.host}/` +
          encodeURIComponent(name));
        return send(res, 201, { ok: true });
      case 'DELETE':
        requireAdmin(req);
        await this.databases.destroy(name);
        this.updates.note('deleted', name);
        return send(res, 200, { ok: true });
      case 'GET':
      case 'HEAD':
        return send(res, 200, await this.info(await this.readable(name, req)));
    }
    return false;
  }

  /** The database, if the user may read it. */
  async readable(name, req) {
    const database = this.databases.get(name);
    if (!database) throw noDatabase();
    const db = await database.orGone(database.pouch);
    await database.orGone(db.info(this.utils.makeOpts(req)));
    return database;
  }

  async info(database) {
    const { codec, created } = await database.open();
    const index = await database.index();
    const count = index.byId.size - index.deleted;
    return {
      instance_start_time: String(created), db_name: database.name,
      purge_seq: codec.format(0), update_seq: codec.format(index.seq),
      props: {}, doc_del_count: index.deleted, doc_count: count,
      disk_format_version: 8, compact_running: false,
      cluster: { q: 1, n: 1, w: 1, r: 1 },
    };
  }

  async changes(name, req, res) {
    if (!['GET', 'HEAD', 'POST'].includes(req.method))
      throw onlyMethods(res, 'GET', 'POST', 'HEAD');
    const database = await this.readable(name, req);
    const body = req.method === 'POST' ? await this.body(req, res) : undefined;
    return serveChanges(database, req, res, body);
  }

  /** The JSON of a request; {} when it has no body. */
  async body(req, res) {
    const { 'content-length': length, 'transfer-encoding': coding,
      'content-type': type = '' } = req.headers;
    if (coding === undefined && (length === undefined || length === '0'))
      return {};
    if (!/^application\/json/.test(type)) {
      res.set('Connection', 'close');
      throw new HttpError(415, 'bad_content_type',
        'Content-Type must be application/json');
    }
    const parts = [];
    for await (const part of req) parts.push(part);
    let body;
    try {
      body = JSON.parse(Buffer.concat(parts).toString());
    } catch (err) {
      throw badRequest('invalid UTF-8 JSON');
    }
    if (body === null || typeof body !== 'object' || Array.isArray(body))
      throw badRequest('Request body must be a JSON object');
    return body;
  }
}

function illegalName(name) {
  return new HttpError(400, 'illegal_database_name', `Name: '${name}'. Only ` +
    'lowercase characters (a-z), digits (0-9), and any of the characters _, ' +
    '$, (, ), +, -, and / are allowed. Must begin with a letter.');
}

module.exports = { Front, refusal };
