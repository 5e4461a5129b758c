// How long a balancer takes from its start, with a snapshot and without its
// database, to the first right answer: each of the starts in ms, in one line.
//
//   node cold.js BALANCER COUCH DATABASE SNAPSHOT HOST [STARTS]
//
// Asked for over and over from the start on, by this one process: what it takes
// of a processor meanwhile is in the figure.
'use strict';
const {spawn} = require('child_process');
const fs = require('fs'), http = require('http'), path = require('path');

const [program, couch, database, snapshot, host, starts = '7'] =
    process.argv.slice(2);
const PATIENCE_MS = 30000;
const portFile = path.join(path.dirname(snapshot), 'cold.ports');

function ask(address) {
  const [hostname, port] = address.split(':');
  return new Promise((done) => {
    const r = http.get({hostname, port, headers: {Host: host}, agent: false},
        (answer) => answer.resume().on('end', () => done(answer.statusCode)));
    r.on('error', () => done(0));
  });
}

async function start() {
  fs.rmSync(portFile, {force: true});
  const began = process.hrtime.bigint(), end = Date.now() + PATIENCE_MS;
  const child = spawn(program, ['--id', 'cold', '--couch', couch, '--apps', database,
    '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--snapshot', snapshot,
    '--port-file', portFile], {stdio: 'ignore'});
  const gone = new Promise((done) => child.on('exit', done));
  let status = 0;
  while (status !== 200 && Date.now() < end) {
    let ports = '';
    try {
      ports = fs.readFileSync(portFile, 'utf8');
    } catch (e) {
      if (e.code !== 'ENOENT')
        throw e;
    }
    if (ports)
      status = await ask(ports.split('\n')[0]);
    else // let the child's end be seen
      await new Promise(setImmediate);
    if (child.exitCode !== null)
      break;
  }
  const ms = Number(process.hrtime.bigint() - began) / 1e6;
  child.kill('SIGKILL');
  await gone;
  if (status !== 200)
    throw new Error(`no right answer; the last status was ${status}`);
  return ms;
}

(async () => {
  const all = [];
  for (let i = 0; i < Number(starts); i++)
    all.push(await start());
  console.log(all.map((ms) => ms.toFixed(1)).join(' '));
})().catch((e) => {
  console.error(`cold.js: ${e.message}`);
  process.exit(1);
});
