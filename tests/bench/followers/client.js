'use strict';
/*
 * Today's followers as clients of a benchmark; prints "ROWS BYTES SECONDS", as
 * the other clients do (BYTES 0: they do not say).
 *
 *   node client.js NAME URL-OF-DATABASE ROWS [latency]
 *
 * Each is used as its documentation says for reading from the beginning, with
 * documents, and stops behind row ROWS. With "latency" it prints "ROWS P50 P99",
 * in microseconds, of rows that tell when they were written.
 */
const { hrtime } = require('node:process');

function split(url) {
  const at = url.lastIndexOf('/');
  return { server: url.slice(0, at), db: url.slice(at + 1) };
}

// Each: (url, onRow, fail) starts; onRow is called for each row.
const followers = {
  follow: (url, onRow, fail) => stream(require('follow'), url, onRow, fail),
  'cloudant-follow': (url, onRow, fail) =>
    stream(require('cloudant-follow'), url, onRow, fail),

  'nano-pages': (url, onRow, fail) => {
    const { server, db } = split(url);
    require('nano')(server)
      .use(db)
      .changesReader.get({ since: '0', includeDocs: true, batchSize: 10000 })
      .on('change', onRow)
      .on('error', fail);
  },

  'nano-spool': (url, onRow, fail) => {
    const { server, db } = split(url);
    require('nano')(server)
      .use(db)
      .changesReader.spool({ since: '0', includeDocs: true, batchSize: 1000 })
      .on('batch', (rows) => rows.forEach(onRow))
      .on('error', fail);
  },

  'ibm-cloudant': (url, onRow, fail) => {
    const { CloudantV1, ChangesFollower } = require('@ibm-cloud/cloudant');
    const { NoAuthAuthenticator } = require('ibm-cloud-sdk-core');
    const { server, db } = split(url);
    const service = new CloudantV1({
      authenticator: new NoAuthAuthenticator(),
      serviceUrl: server,
    });
    new ChangesFollower(service, { db, since: '0', includeDocs: true })
      .startOneOff()
      .on('data', onRow)
      .on('error', fail);
  },

  pouchdb: (url, onRow, fail) => {
    const PouchDB = require('pouchdb-core').default || require('pouchdb-core');
    PouchDB.plugin(
      require('pouchdb-adapter-http').default ||
        require('pouchdb-adapter-http')
    );
    new PouchDB(url, { skip_setup: true })
      .changes({
        since: 0,
        include_docs: true,
        return_docs: false,
        batch_size: 10000,
      })
      .on('change', onRow)
      .on('error', fail);
  },
};

// follow and its fork read the continuous feed.
function stream(follow, url, onRow, fail) {
  const feed = new follow.Feed({
    db: url,
    since: 0,
    include_docs: true,
    heartbeat: 30000,
  });
  feed.on('change', onRow);
  feed.on('error', fail);
  feed.follow();
}

function fail(error) {
  process.stderr.write(`${error && error.stack ? error.stack : error}\n`);
  process.exit(1);
}

function count(name, url, want) {
  let rows = 0;
  const begin = hrtime.bigint();
  followers[name](
    url,
    () => {
      if (++rows !== want) return;
      const seconds = Number(hrtime.bigint() - begin) / 1e9;
      process.stdout.write(`${rows} 0 ${seconds.toFixed(6)}\n`, () =>
        process.exit(0)
      );
    },
    fail
  );
}

// How late a row is whose id is the time of its write, in microseconds.
function latency(name, url, want) {
  const late = [];
  const skip = Math.floor(want / 10) + 1; // compiled by then
  let seen = 0;
  followers[name](
    url,
    (row) => {
      const ns = Number(hrtime.bigint() - BigInt(row.id));
      if (++seen <= skip) return;
      late.push(ns / 1000);
      if (late.length !== want) return;
      late.sort((a, b) => a - b);
      const at = (p) => late[Math.min(want - 1, Math.floor(want * p))];
      process.stdout.write(
        `${want} ${at(0.5).toFixed(1)} ${at(0.99).toFixed(1)}\n`,
        () => process.exit(0)
      );
    },
    fail
  );
}

const [, , name, url, rows, what] = process.argv;
if (!(name in followers) || !url || !(Number(rows) > 0)) {
  process.stderr.write(
    `usage: client.js NAME URL ROWS [latency]\n` +
      `NAME: ${Object.keys(followers).join(', ')}\n`
  );
  process.exit(2);
}
(what === 'latency' ? latency : count)(name, url, Number(rows));
