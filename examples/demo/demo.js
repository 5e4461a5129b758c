'use strict';
// The story of the demo: a database, a writer, a follower; the database is
// killed and started again; what the follower has seen is compared with what
// the database holds. Started by examples/demo.sh, which builds what it needs.

const fs = require('fs');
const os = require('os');
const path = require('path');
const { parseArgs } = require('util');

const { Couch } = require('./couch');
const { OwnDatabase, RelayedDatabase } = require('./database');
const { Follower } = require('./follower');
const { Writer } = require('./writer');

const RETRIES = 3; // failed attempts that are watched before it is mended
// And the next one shall be far enough away that writes are made before it.
const AWAY_MS = 1000;
const WAIT_MS = 60000; // for any one thing; a healthy run is far from it
const LAST_ROWS_MS = 15000;

const { values: options } = parseArgs({ options: {
  command: { type: 'string' }, // the program to follow with
  rows: { type: 'string', default: '50' }, // before and after the trouble
  keep: { type: 'boolean', default: false },
} });

class Interrupted extends Error {
  constructor(status) {
    super('interrupted');
    this.status = status;
  }
}

// Rejects when the story cannot go on: a signal, a closed pipe, a process that
// ended unasked. Only the first counts.
let giveUp;
const trouble = new Promise((done, failed) => { giveUp = failed; });
trouble.catch(() => {});

const cleaners = []; // what is to be undone, the last first
let over = false; // the story begins nothing any more

function later(undo) {
  if (over) throw new Error('too late');
  cleaners.push(undo);
}

async function cleanUp() {
  over = true;
  while (cleaners.length !== 0) {
    try {
      await cleaners.pop()();
    } catch (err) {
      console.error('demo: cleaning up: %s', err.message);
    }
  }
}

// ---- what is shown ----------------------------------------------------------

const short = (text, most) =>
  (text.length > most ? `${text.slice(0, most - 2)}..` : text);

function say(mark, text) {
  const now = new Date();
  const pad = (n, digits) => String(n).padStart(digits, '0');
  console.log('%s:%s:%s.%s %s %s', pad(now.getHours(), 2),
    pad(now.getMinutes(), 2), pad(now.getSeconds(), 2),
    pad(now.getMilliseconds(), 3), mark, text);
}

const tell = (text) => say('==', text);

function showRow({ seq, id, rev, deleted }) {
  say('  ', `seq ${short(seq, 14).padEnd(14)}  id ${id.padEnd(7)} ` +
    `rev ${short(rev, 12).padEnd(12)}  ${deleted ? 'deleted' : ''}`.trimEnd());
}

function showEvent(event) {
  if (event.event === 'state' && event.state !== 'waiting')
    say('--', `follower: ${event.state}`);
  else if (event.event === 'retry')
    say('--', `follower: attempt ${event.attempt} failed: ` +
      `${event.message.split(': ').pop()}; the next in ${event.delay_ms} ms`);
  else if (event.event === 'reset')
    say('--', `follower: another history: ${event.reason}`);
  else if (event.event === 'rewind')
    say('--', `follower: ${event.rows} rows came again`);
  else if (event.event === 'log' || event.event === 'text')
    say('--', `follower: ${event.message}`);
}

// ---- waiting ----------------------------------------------------------------

/** Resolves as soon as check() is true, looked at after each row and event. */
function until(follower, what, check, mostMs = WAIT_MS) {
  return new Promise((done, failed) => {
    const look = () => {
      if (over || !check()) return;
      clearTimeout(timer);
      follower.off('row', look);
      follower.off('event', look);
      done();
    };
    const timer = setTimeout(() => {
      failed(new Error(`${mostMs / 1000} s have passed: ${what}`));
    }, mostMs);
    follower.on('row', look);
    follower.on('event', look);
    look();
  });
}

/** Ids whose last row is not what the database holds, either way. */
function differences(truth, seen) {
  const ids = new Set([...truth.keys(), ...seen.keys()]);
  return [...ids].sort().filter((id) => {
    const held = truth.get(id), told = seen.get(id);
    return held === undefined || told === undefined || held.rev !== told.rev ||
           held.deleted !== told.deleted;
  });
}

// ---- the story --------------------------------------------------------------

async function openDatabase(dir) {
  const given = process.env.COUCHDB_URL;
  const database = given ? new RelayedDatabase(given)
    : new OwnDatabase(dir, (why) => giveUp(new Error(why)));
  later(() => database.stop());
  await database.start();
  return database;
}

async function createIn(couch) {
  if (!process.env.COUCHDB_URL) {
    await couch.ask('PUT', '/demo');
    return 'demo';
  }
  const name = `changefeed-demo-${process.pid}-${Date.now().toString(36)}`;
  if (!options.keep)
    later(() => couch.ask('DELETE', `/${name}`));
  await couch.ask('PUT', `/${name}`);
  return name;
}

function startFollower(database, name, dir) {
  const follower = new Follower(options.command, `${database.feedUrl}/${name}`,
    { password: database.password, rowsFile: path.join(dir, 'rows.tsv'),
      eventsFile: path.join(dir, 'events.jsonl') });
  later(() => follower.stop());
  follower.on('row', showRow);
  follower.on('event', showEvent);
  follower.on('over', (why) => giveUp(new Error(why)));
  follower.start();
  return follower;
}

async function moreRows(follower, count) {
  const enough = follower.rows + count;
  await until(follower, `${count} rows have not come`,
    () => follower.rows >= enough && follower.state === 'live',
    WAIT_MS + count * 250);
}

async function outage(database, writer, follower) {
  const retries = follower.retries, writes = writer.writes;
  tell(database.plan());
  await database.strike();
  await until(follower, 'the follower has not noticed',
    () => follower.retries >= retries + RETRIES &&
          follower.retryMs >= AWAY_MS);
  await database.mend();
  tell(database.mended());
  await until(follower, 'the follower has not come back',
    () => follower.state === 'live');
  tell(`the follower has resumed by itself, ${writer.writes - writes} writes ` +
       'behind:');
}

/** The last rows may still be under way when the last write is done. */
async function compare(couch, name, writer, follower) {
  const truth = await couch.revisions(name,
    [...new Set([...writer.known.keys(), ...follower.last.keys()])]);
  try {
    await until(follower, 'rows are missing',
      () => differences(truth, follower.last).length === 0, LAST_ROWS_MS);
  } catch (err) {
    tell(err.message);
  }
  return { ids: truth.size, missed: differences(truth, follower.last) };
}

function summary({ ids, missed }, writer, follower, startedMs) {
  const { reconnects, repeats, requests } = follower.stats;
  const gone = [...follower.last.values()].filter((d) => d.deleted).length;
  const line = (name, text) => console.log('  %s %s', name.padEnd(12), text);
  console.log('');
  line('writes', `${writer.writes}, ${writer.deletions} of them deletions; ` +
    `${writer.repeated} had to be tried again`);
  line('rows seen', `${follower.rows}, ${follower.deletions} of them ` +
    `deletions; ${repeats} came twice`);
  line('ids', `${ids}, ${gone} of them deleted in the end`);
  line('reconnects', `${reconnects}, with ${requests} requests in all`);
  line('longest gap', `${(follower.longestGapMs / 1000).toFixed(1)} s between ` +
    'two rows');
  line('missed', missed.length === 0
    ? '0: the last revision of every id was seen'
    : `${missed.length}: ${missed.join(' ')}`);
  line('took', `${((Date.now() - startedMs) / 1000).toFixed(0)} s`);
}

async function story(dir) {
  const startedMs = Date.now();
  const rows = Number(options.rows);
  const database = await openDatabase(dir);
  const couch = new Couch(database.url);
  const name = await createIn(couch);
  const writer = new Writer(couch, name);
  tell(process.env.COUCHDB_URL
    ? `the database of COUCHDB_URL answers; in it, "${name}" was created`
    : `the database is up at ${database.url}, process ${database.child.pid}`);

  const follower = startFollower(database, name, dir);
  later(() => writer.stop());
  const written = writer.run();
  written.catch(giveUp);
  tell('a writer writes 8 times a second, and "changefeed" follows:');
  await moreRows(follower, rows);
  await outage(database, writer, follower);
  await moreRows(follower, rows);

  writer.stop();
  await written;
  tell('the writer is done; what was seen is compared with _all_docs');
  const result = await compare(couch, name, writer, follower);
  const end = await follower.stop();
  couch.close();
  if (end !== 'exit code 0' || follower.stats === undefined)
    throw new Error(`the follower was asked to stop, and ended with ${end}`);
  if (follower.resets !== 0)
    throw new Error('the follower took the database for another one');
  summary(result, writer, follower, startedMs);
  return result.missed.length === 0 ? 0 : 1;
}

// ---- around it --------------------------------------------------------------

function takeSignals() {
  for (const [signal, number] of [['SIGHUP', 1], ['SIGINT', 2], ['SIGTERM', 15]])
    process.on(signal, () => giveUp(new Interrupted(128 + number)));
  process.stdout.on('error', () => giveUp(new Interrupted(128 + 13)));
}

function makeDirectory() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'changefeed-demo-'));
  later(() => {
    if (options.keep) console.log('\nThe data and the rows are in %s', dir);
    else fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  });
  return dir;
}

async function main() {
  let status = 1;
  takeSignals();
  try {
    status = await Promise.race([story(makeDirectory()), trouble]);
  } catch (err) {
    if (err instanceof Interrupted) status = err.status;
    else console.error('demo: FAILED: %s', err.message);
  }
  await cleanUp();
  process.exit(status);
}

main();
