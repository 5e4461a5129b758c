'use strict';
// What a demo leaves: nothing, or its logs when it failed, or, with --keep, all of
// it running until --stop. Both ends read the demo's directory (see child.js), and
// nothing else.

const fs = require('fs');
const os = require('os');
const path = require('path');

const { Processes, isAlive, read } = require('./child');
const { deleteDatabases } = require('./database');
const { many } = require('./tell');

const LOGS = /\.(log|tsv|jsonl)$/;

/** Ends a demo's processes, and deletes its databases at url, if it has some;
 *  then its directory goes, or all but the logs. Resolves to how many processes
 *  there were. */
async function clear(processes, url, { logs = false } = {}) {
  const { dir } = processes;
  const count = await processes.end();
  const databases = read(path.join(dir, 'databases')).split('\n')
    .filter((name) => name !== '');
  if (databases.length !== 0) {
    if (!url)
      throw new Error(`set COUCHDB_URL as it was: ${databases.join(' and ')} ` +
                      'are to be deleted there');
    await deleteDatabases(url, databases);
  }
  if (logs) removeAllBut(dir, LOGS);
  else fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  return count;
}

function removeAllBut(dir, pattern) {
  const drones = path.join(dir, 'drones');
  if (fs.existsSync(drones))
    for (const id of fs.readdirSync(drones))
      if (fs.existsSync(path.join(drones, id, 'log')))
        fs.renameSync(path.join(drones, id, 'log'),
          path.join(dir, `drone-${id}.log`));
  for (const name of fs.readdirSync(dir))
    if (!pattern.test(name))
      fs.rmSync(path.join(dir, name),
        { recursive: true, force: true, maxRetries: 5 });
}

/** What to look at, and how it ends. */
function sayKept({ platform, follower, database }, dir) {
  const { visitors } = platform.balancers.get('b1');
  const port = visitors.split(':')[1];
  const lines = [
    'All of it runs on. In a browser on this machine:',
    ...['shop', 'blog', 'wiki'].map(
      (app) => `  http://${app}.localhost:${port}/`),
    `  http://mail.localhost:${port}/  is stopped, and ` +
      `http://chat.localhost:${port}/ is gone`,
    ...[...platform.balancers].map(([name, { admin }]) =>
      `  http://${admin}/  is the status page of ${name}`),
    'The command line:',
    `  export APPS_SERVER=http://${platform.apiAddress} ` +
      `APPS_TOKEN_FILE=${platform.file('api.token')}`,
    `  ${platform.program('apps')} list`,
    `What changefeed has told, and the logs, are in ${dir}`,
    'It ends, and its directory goes, by: ' +
      `${process.env.TMPDIR ? `TMPDIR=${process.env.TMPDIR} ` : ''}` +
      `examples/demo.sh --stop${database.own ? ''
        : ', with COUCHDB_URL as it is now'}`,
  ];
  follower.removeAllListeners();
  console.log('\n%s', lines.join('\n'));
}

/** The directories of this user's demos that run no story any more. */
function keptDirectories() {
  const all = os.tmpdir();
  return fs.readdirSync(all).filter((name) => name.startsWith('changefeed-demo-'))
    .map((name) => path.join(all, name))
    .filter((dir) => {
      const stat = fs.lstatSync(dir, { throwIfNoEntry: false });
      return stat && stat.isDirectory() && stat.uid === process.getuid() &&
             fs.existsSync(path.join(dir, 'running'));
    })
    .filter((dir) => !new Processes(dir).list()
      .some((one) => one.name === 'demo' && isAlive(one)));
}

/** Ends what demos have left running; resolves to the exit status. */
async function stopKept(url) {
  const dirs = keptDirectories();
  if (dirs.length === 0) console.log('There is no demo to stop.');
  for (const dir of dirs) {
    const count = await clear(new Processes(dir), url);
    console.log('%s: %s ended, and the directory is gone', dir,
      many(count, 'process').replace(/processs$/, 'processes'));
  }
  return 0;
}

module.exports = { clear, sayKept, stopKept };
