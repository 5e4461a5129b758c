'use strict';
// The databases of the server by name: which exist, their creation and
// deletion (one at a time), and for each its PouchDB object, its sequence
// codec, its creation time and its change index. Storage names are the
// percent-encoded ones, so that "a/b" is a directory of its own.

const { commits } = require('./commits');
const { ChangeIndex } = require('./change-index');
const { HttpError, notFound, fail } = require('./reply');
const { SeqCodec } = require('./seq');

const META = '_local/couch-serve';
const PRIVATE = { members: { roles: ['_admin'] }, admins: { roles: ['_admin'] } };
const INTERNAL = /^pouch__|-mrview-[0-9a-f]{32}|^https?:/;

function nameOf(storage) {
  try {
    const name = decodeURIComponent(storage);
    return encodeURIComponent(name) === storage ? name : undefined;
  } catch (err) {
    return undefined; // no percent-encoding of anything
  }
}

const noDatabase = () => notFound('Database does not exist.');

class Database {
  /** @param {function} open () => Promise of the PouchDB object */
  constructor(name, open) {
    this.name = name;
    this.openPouch = open;
    this.opening = null;
    this.gone = false;
    this.leaving = new Set(); // called at the end, for work that never ends
    this.requests = new Set();
    this.details = null;
    this.indexed = null;
  }

  /** The PouchDB object with its wrappers, opened at first need. */
  get pouch() {
    if (!this.opening) this.opening = this.openPouch(this.name);
    return this.opening;
  }

  /** The answer of `work`, or a 404 as soon as the database is deleted: what
   *  is asked of a closed store may never be answered. */
  orGone(work) {
    return new Promise((done, failed) => {
      const leave = () => failed(noDatabase());
      if (this.gone) return leave();
      this.leaving.add(leave);
      return work.then(done, (err) => failed(this.gone ? noDatabase() : err))
        .finally(() => this.leaving.delete(leave));
    });
  }

  /** PouchDB's own method, beneath the permission and validation wrappers. */
  async raw(method, ...args) {
    const db = await this.pouch;
    let fn = db[method];
    while (fn._original) fn = fn._original;
    return fn.apply(db, args);
  }

  /** @returns {Promise<{codec, created}>} */
  open(created) {
    if (!this.details) this.details = this.orGone(this.readDetails(created));
    return this.details;
  }

  async readDetails(created = Math.floor(Date.now() / 1000)) {
    const codec = SeqCodec.forId(await this.raw('id'));
    const db = await this.pouch;
    const known = await db.get(META).catch((err) => {
      if (err.status !== 404) throw err;
    });
    if (known) return { codec, created: known.created };
    await db.put({ _id: META, created });
    return { codec, created };
  }

  /** @returns {Promise<ChangeIndex>} with all that was committed before */
  async index() {
    if (!this.indexed) {
      const read = (options) => this.changes({ ...options, style: 'all_docs',
        include_docs: true });
      const updateSeq = async () =>
        (await this.orGone(this.raw('info'))).update_seq;
      this.indexed = new ChangeIndex(read, updateSeq);
      this.poke = () => this.indexed.poke();
      commits.on(await this.storageName(), this.poke);
    }
    await this.orGone(this.indexed.sync());
    return this.indexed;
  }

  async changes(options) {
    return (await this.orGone(this.raw('changes', options))).results;
  }

  async storageName() {
    return (await this.pouch).__opts.name;
  }

  /** Requests whose answer hangs on this database get a 404 at its end. */
  track(res) {
    this.requests.add(res);
    res.on('close', () => this.requests.delete(res));
  }

  async end() {
    this.gone = true;
    for (const leave of this.leaving) leave();
    if (this.indexed) {
      this.indexed.end();
      commits.off(await this.storageName(), this.poke);
    }
    for (const res of this.requests) {
      if (!res.headersSent) fail(res, noDatabase());
    }
  }
}

class Databases {
  /** @param {boolean} secure new databases are for admins only, as in 3.x
   *  @param {string} prefix of the storage names */
  constructor(PouchDB, dbWrapper, { secure, prefix }) {
    Object.assign(this, { PouchDB, dbWrapper, secure, prefix });
    this.store = require('express-pouchdb/lib/create-or-delete-dbs');
    this.byName = new Map();
    this.lastCreated = new Map();
    this.turn = Promise.resolve();
  }

  async load() {
    // Also those that replication or authentication create; heard of before
    // the list is read, or one could slip between.
    this.PouchDB.on('created', (name) => this.addStored(name));
    for (const name of await this.PouchDB.allDbs()) this.add(name);
  }

  /** Not PouchDB's own, nor any that this server would not have named so. */
  addStored(storage) {
    const name = nameOf(storage);
    if (name !== undefined) this.add(name);
  }

  /** The name of the database with this path or key of storage. */
  named(storage) {
    if (!storage.startsWith(this.prefix)) return undefined;
    const name = nameOf(storage.slice(this.prefix.length));
    return this.byName.has(name) ? name : undefined;
  }

  add(name) {
    if (INTERNAL.test(name)) return undefined;
    if (!this.byName.has(name))
      this.byName.set(name, this.make(name));
    return this.byName.get(name);
  }

  make(name) {
    const storage = encodeURIComponent(name);
    return new Database(name, async () => {
      const db = await this.store.getOrCreateDB(this.PouchDB, storage);
      await db.info();
      return this.dbWrapper.wrap(storage, db);
    });
  }

  get(name) {
    return this.byName.get(name);
  }

  names() {
    return [...this.byName.keys()].sort();
  }

  /** Creations and deletions one after the other. */
  inTurn(work) {
    const result = this.turn.then(work);
    this.turn = result.catch(() => {}); // its caller has it
    return result;
  }

  create(name) {
    return this.inTurn(async () => {
      if (this.byName.has(name)) {
        throw new HttpError(412, 'file_exists', 'The database could not be ' +
          'created, the file already exists.');
      }
      const database = this.make(name);
      this.byName.set(name, database);
      try {
        // Another instance, another time: also within one second.
        const now = Math.floor(Date.now() / 1000);
        const created = Math.max(now, (this.lastCreated.get(name) || 0) + 1);
        this.lastCreated.set(name, (await database.open(created)).created);
        if (this.secure) await (await database.pouch).putSecurity(PRIVATE);
        await this.PouchDB.allDbs(); // its entry in the list is stored
      } catch (err) {
        this.byName.delete(name);
        throw err;
      }
      return database;
    });
  }

  destroy(name) {
    return this.inTurn(async () => {
      const database = this.byName.get(name);
      if (!database) throw noDatabase();
      this.lastCreated.set(name, (await database.open()).created);
      this.byName.delete(name);
      await database.end();
      await this.store.deleteDB(this.PouchDB, encodeURIComponent(name));
      await this.PouchDB.allDbs();
    });
  }
}

module.exports = { Databases, noDatabase };
