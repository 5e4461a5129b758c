'use strict';
// The story of the demo, chapter after chapter, and what is around it: signals,
// the end of all that was begun, what is kept. Started by examples/demo.sh, which
// builds what it needs.

const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { parseArgs } = require('util');

const { Processes } = require('./child');
const { Couch } = require('./couch');
const { GivenDatabase, OwnDatabase } = require('./database');
const { Follower } = require('./follower');
const { clear, sayKept, stopKept } = require('./kept');
const { Platform } = require('./platform');
const { chapter, many, must, say, tell, waiter } = require('./tell');
const { balancerDies, compareBalancers, databaseDies, droneDies } =
  require('./troubles');
const { Visitors, pagesText } = require('./visitors');
const { begin, firstApps, spamBurst, stopAndDestroy, tooFewDrones } =
  require('./work');

const LAST_ROWS_MS = 15000;

const { values: options } = parseArgs({ options: {
  command: { type: 'string' }, // the program to follow with
  programs: { type: 'string' }, // the directory of the platform's
  keep: { type: 'boolean', default: false },
  stop: { type: 'boolean', default: false },
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
let over = false; // the story begins nothing any more

// ---- the follower -----------------------------------------------------------

function showEvent(event) {
  if (event.event === 'retry')
    say('--', `changefeed: attempt ${event.attempt} failed: ` +
      `${event.message.split(': ').pop()}; the next in ${event.delay_ms} ms`);
  else if (event.event === 'reset')
    say('--', `changefeed: another history: ${event.reason}`);
  else if (event.event === 'log' || event.event === 'text')
    say('--', `changefeed: ${event.message}`);
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

/** The provisioner writes all the time, and the last rows may be under way: so
 *  both are to agree at one moment. */
async function compareFollower(world) {
  const { couch, database, follower, until } = world;
  let truth, missed;
  try {
    await until('rows are missing', async () => {
      truth = await couch.revisions(database.apps, [...follower.last.keys()]);
      missed = differences(truth, follower.last);
      return missed.length === 0;
    }, LAST_ROWS_MS);
  } catch (err) {
    if (missed === undefined) throw err;
  }
  const end = await follower.stop();
  must(end === 'exit code 0' && follower.stats !== undefined,
    `changefeed was asked to stop, and ended with ${end}`);
  must(follower.resets === 0, 'changefeed took the database for another one');
  world.missed = missed.length === 0
    ? '0: the last revision of every document was seen'
    : `${missed.length}: ${missed.join(' ')}`;
  world.documents = truth.size;
  tell(`changefeed told ${many(follower.rows, 'row')}; compared with ` +
       `_all_docs, missed ${world.missed}`);
  must(missed.length === 0, 'changefeed has missed changes');
}

// ---- the story --------------------------------------------------------------

async function openDatabase(world) {
  chapter('A database');
  const given = process.env.COUCHDB_URL;
  const { processes } = world;
  const database = given ? new GivenDatabase(given)
    : new OwnDatabase(processes,
      { lasts: options.keep, onDeath: (why) => giveUp(new Error(why)) });
  // Whoever clears up needs the names, also when the creation is cut short.
  if (given)
    fs.writeFileSync(path.join(processes.dir, 'databases'),
      `${database.apps}\n${database.locks}\n`);
  await database.start();
  tell(given ? 'that of COUCHDB_URL answers; the demo has databases of its own ' +
    'there' : `couch-serve is up at ${database.url}, process ` +
    `${database.child.pid}`);
  world.database = database;
}

async function follow(world) {
  const { database, processes, until } = world;
  // The way to a database of this machine is through no proxy.
  const env = database.own ? { no_proxy: '127.0.0.1' } : {};
  if (database.password) env.CHANGEFEED_PASSWORD = database.password;
  const follower = new Follower(processes, options.command,
    `${database.bareUrl}/${database.apps}`, env);
  follower.on('event', showEvent);
  follower.on('over', (why) => giveUp(new Error(why)));
  follower.start();
  world.follower = follower;
  await until('changefeed cannot follow', () => follower.state === 'live');
}

function summary(world) {
  const { counts, slowestMs } = world.visitors;
  const line = (name, text) => console.log('  %s %s', name.padEnd(12), text);
  console.log('');
  line('visitors', `${counts.answers} answers: ${counts.own} the app's own, ` +
    `pages ${pagesText(counts.pages)}`);
  line('wrong sites', `${counts.others}; without an answer: ${counts.lost}; ` +
    `the slowest took ${slowestMs} ms`);
  line('drones', `3, and ${world.added} by the scaler`);
  line('scripts', `${world.spam.calls} calls, ` +
    `${many(world.spam.begun, 'operation')}, ` +
    `${many(world.spam.writes, 'write')}`);
  line('drone dead', `its app was away for ${world.away}`);
  line('database', world.databaseDied);
  line('changefeed', `${many(world.follower.rows, 'row')} of ` +
    `${many(world.documents, 'document')}, ` +
    `${many(world.follower.stats.reconnects, 'reconnect')}`);
  line('missed', world.missed);
  line('took', `${((Date.now() - world.beganMs) / 1000).toFixed(0)} s`);
}

async function story(world) {
  const { processes } = world;
  world.until = waiter(() => !over);
  world.nonce = crypto.randomBytes(8).toString('hex');
  await openDatabase(world);
  const { database } = world;
  world.couch = new Couch(database.url);
  world.platform = new Platform(processes, options.programs, database,
    { until: world.until, onDeath: (why) => giveUp(new Error(why)) });
  world.follow = () => follow(world);
  world.visitors = new Visitors(world.platform.balancers, world.nonce,
    (what) => giveUp(new Error(what)));
  world.platform.writeTokens();
  world.platform.writeSite();

  await begin(world);
  await firstApps(world);
  await tooFewDrones(world);
  await spamBurst(world);
  await droneDies(world);
  await databaseDies(world);
  await balancerDies(world);
  await stopAndDestroy(world);

  chapter('At the end all is compared');
  await world.visitors.stop();
  await compareBalancers(world);
  await compareFollower(world);
  const { others, lost } = world.visitors.counts;
  must(others + lost === 0, `${others} visitors saw another site, and ` +
    `${lost} had no answer`);
  summary(world);
  return 0;
}

// ---- around it --------------------------------------------------------------

function takeSignals() {
  for (const [signal, number] of [['SIGHUP', 1], ['SIGINT', 2], ['SIGTERM', 15]])
    process.on(signal, () => giveUp(new Interrupted(128 + number)));
  process.stdout.on('error', () => giveUp(new Interrupted(128 + 13)));
}

/** Ends all that was begun; what failed leaves its logs. */
async function cleanUp({ processes, visitors, follower }, failed) {
  over = true;
  if (visitors) clearInterval(visitors.timer);
  if (follower) follower.stopping = true; // its end is no news
  await clear(processes, process.env.COUCHDB_URL, { logs: failed });
  if (failed) console.error('demo: the logs are in %s', processes.dir);
}

async function main() {
  if (options.stop) process.exit(await stopKept(process.env.COUCHDB_URL));
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'changefeed-demo-'));
  const world = { processes: new Processes(dir), beganMs: Date.now() };
  let status = 1, failed = false;
  world.processes.note(process.pid, 'demo');
  takeSignals();
  try {
    status = await Promise.race([story(world), trouble]);
  } catch (err) {
    failed = !(err instanceof Interrupted);
    if (failed) console.error('demo: FAILED: %s', err.message);
    else status = err.status;
  }
  if (status === 0 && options.keep) sayKept(world, dir);
  else await cleanUp(world, failed);
  process.exit(status);
}

main().catch((err) => {
  console.error('demo: %s', err.message);
  process.exit(1);
});
