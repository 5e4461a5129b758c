'use strict';
// Tells of each committed write of a local PouchDB database, by its storage
// name, at no cost to the writer. PouchDB's public way, a live changes feed,
// would read every row once more; this listens where that feed listens. Bound
// to the pinned version: if it moves, no feed wakes and the tests fail at once.

const { EventEmitter } = require('events');
const path = require('path');

const commits = new EventEmitter().setMaxListeners(0);

// The copy that the storage adapters use; older ones lie deeper in the tree.
const core = require.resolve('pouchdb-adapter-leveldb-core');
const { changesHandler } = require(require.resolve('pouchdb-utils',
  { paths: [path.dirname(core)] }));

const { notify } = changesHandler.prototype;
changesHandler.prototype.notify = function (name) {
  notify.call(this, name);
  commits.emit(name);
  commits.emit('any commit', name);
};

module.exports = { commits };
