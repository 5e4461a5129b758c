'use strict';
// The chapters in which something dies: a drone, the database, a balancer.

const fs = require('fs');

const { pagesText, processOf } = require('./visitors');
const { chapter, many, must, seconds, tell } = require('./tell');
const { beganOf } = require('./child');
const { REAP_S, STALE_S } = require('./platform');
const { STARTED, everywhere, run } = require('./work');

const APP = 'shop';

/** The process that all visitors of the app are answered by. */
async function onlyProcess({ platform, visitors, until }) {
  let site;
  await until(`${APP} is answered by two processes`, async () => {
    const all = await Promise.all([...platform.balancers.keys()]
      .map(async (b) => processOf((await platform.visit(b, APP)).body)));
    [site] = all;
    return site !== undefined && all.every((pid) => pid === site) &&
           visitors.process.get(APP) === site;
  });
  return site;
}

async function droneDies(world) {
  const { platform, processes, visitors, until } = world;
  chapter(`The drone of ${APP} is killed by SIGKILL`);
  const { route } = await platform.api.ask('GET', `/apps/${APP}`);
  const [{ addr }] = route.to;
  const drone = processes.drones().find((one) => one.addr === addr);
  must(drone !== undefined, `there is no process of the drone ${addr}`);
  const site = await onlyProcess(world);
  const mark = await visitors.mark();
  const killedMs = Date.now();
  process.kill(drone.pid, 'SIGKILL');
  await until(`the app outlived its drone ${addr}`,
    () => beganOf(drone.pid) === undefined && beganOf(site) === undefined);
  tell(`drone ${addr}, process ${drone.pid}; its app went with it`);
  await until(`${APP} has not come back`,
    () => visitors.process.get(APP) !== site);
  const ms = Date.now() - killedMs;
  await everywhere(world, APP, `${APP} is live`, ({ status }) => status === 200);
  const now = (await platform.api.ask('GET', `/apps/${APP}`)).route.to[0].addr;
  const { pages } = visitors.since(mark, APP);
  const others = visitors.since(mark).pages;
  world.away = seconds(ms);
  must(now !== addr, `${APP} is said to be at the dead drone ${addr}`);
  tell(`${APP} is live on ${now}, ${seconds(ms)} later (a drone is given up ` +
       `when it was silent for ${REAP_S / 2} s)`);
  must(pagesText(others) === pagesText(pages),
    `visitors of others saw pages, too: ${pagesText(others)}`);
  tell(`visitors of ${APP} meanwhile: pages ${pagesText(pages)}; ` +
       'no other site noticed');
}

/** Whether all balancers are in step, and with each other. */
function inStep(statuses) {
  const [first] = statuses;
  return statuses.every((s) => s.source === 'database' && !s.stale &&
    s.feed.trouble === '' && s.digest === first.digest);
}

async function databaseDies(world) {
  const { platform, database, follower, visitors, until } = world;
  if (!database.own) {
    chapter('The database\'s death: skipped, as COUCHDB_URL names it');
    world.databaseDied = 'not killed: it is the one of COUCHDB_URL';
    return;
  }
  chapter('The database is killed by SIGKILL');
  const routes = (await platform.status('b1')).routes;
  const retries = follower.retries;
  const mark = await visitors.mark();
  const killedMs = Date.now();
  await database.kill();
  const stop = platform.api.call('POST', '/apps/mail/stop');
  stop.catch(() => {}); // until it is waited for
  await until('the balancers do not say that they are stale', async () =>
    (await platform.statuses()).every(({ stale }) => stale));
  tell(`after ${seconds(Date.now() - killedMs)} both balancers say that they ` +
       `are stale (nothing came for ${STALE_S} s); each keeps its ` +
       many(routes, 'route'));
  const { status, json } = await stop;
  tell(`the API, asked to stop mail: ${status}, ` +
       (json.error || json.state).replace(/:.*/, ''));
  must(status === 503, 'the API promises what it cannot keep');
  must((await platform.statuses()).every((s) => s.routes === routes),
    'a balancer has lost routes');
  await database.start();
  const ms = await until('the balancers are not in step again',
    async () => inStep(await platform.statuses()));
  tell(`the database is back on port ${database.port}; after ${seconds(ms)} ` +
       'both are in step, with one digest');
  await until('the follower has not come back', () =>
    follower.retries > retries && follower.state === 'live');
  const { own, pages, answers } = visitors.since(mark);
  world.databaseDied = `away for ${seconds(Date.now() - killedMs - ms)}, ` +
    `${own} of ${answers} visitors saw their page`;
  tell(`visitors meanwhile: ${own} pages of the apps' own, pages of the ` +
       `balancers': ${pagesText(pages)}`);
  must(Object.keys(pages).length === 0, 'visitors have noticed the death');
}

/** Whether a balancer's snapshot has what is served: a route has its claim's
 *  bytes in it. What it lacks would be an error page for a moment. */
async function isSaved({ platform }, name) {
  const saved = fs.readFileSync(platform.file(`${name}.routes`));
  const apps = await Promise.all(STARTED.map(
    (app) => platform.api.ask('GET', `/apps/${app}`)));
  return apps.every(({ route }) =>
    saved.includes(Buffer.from(route.to[0].claim, 'hex')));
}

async function balancerDies(world) {
  const { platform, visitors, until } = world;
  chapter('The balancer b2 is killed by SIGKILL');
  await until('b2 has not saved its routes', () => isSaved(world, 'b2'));
  const mark = await visitors.mark();
  await platform.kill(platform.balancers.get('b2').child);
  let lines = await run(world, 0, 'start', APP);
  must(/ balancers 1\/2/.test(lines.join(' ')) && /b2/.test(lines.join(' ')),
    'it is not said that b2 lacks');
  await until('no visitor has found b2 closed',
    () => visitors.since(mark).elsewhere >= 10);
  const beganMs = Date.now();
  await platform.startBalancer('b2');
  await everywhere(world, APP, `${APP} is live`, ({ status }) => status === 200);
  const loaded = /event=follow\.snapshot .*routes=(\d+)/.exec(
    world.processes.said('balancer-b2'));
  must(loaded !== null, 'b2 did not begin with its snapshot');
  tell(`started again, b2 has ${many(Number(loaded[1]), 'route')} of its ` +
       `snapshot, and visitors ${Date.now() - beganMs} ms after its start`);
  await until('the balancers are not in step',
    async () => inStep(await platform.statuses()));
  await until('the provisioner does not hear of b2', async () => (await
    platform.api.ask('POST', `/apps/${APP}/start`, {})).acks === '2/2');
  lines = await run(world, 0, 'start', APP);
  must(/ balancers 2\/2/.test(lines.join(' ')), 'b2 is not known to be back');
  const { lost, elsewhere } = visitors.since(mark);
  for (const app of STARTED) {
    const { pages } = visitors.since(mark, app);
    must(Object.keys(pages).length === 0,
      `visitors of ${app} have noticed: ${pagesText(pages)}`);
  }
  tell(`${many(elsewhere, 'visitor')} found b2 closed and went to b1; ${lost} ` +
       'had no answer');
}

/** The balancers against each other and against the database. */
async function compareBalancers(world) {
  const { platform, until } = world;
  await until('the balancers are not in step',
    async () => inStep(await platform.statuses()));
  const [b1] = await platform.statuses();
  const { face } = platform.balancers.get('b1');
  const { same } = await face.ask('GET', '/diff?peer=b2');
  must(same === true, 'the balancers b1 and b2 differ');
  for (const name of platform.balancers.keys()) {
    const { audits } = (await platform.status(name)).feed;
    await platform.balancers.get(name).face.ask('POST', '/audit');
    await until(`${name} has not compared itself with the database`,
      async () => (await platform.status(name)).feed.audits > audits);
    must((await platform.status(name)).feed.repairs === 0,
      `${name} was not what the database says`);
  }
  tell(`b1 and b2 have one digest, ${b1.digest}, of ` +
       `${many(b1.routes, 'route')}; compared with the database: equal`);
}

module.exports = { balancerDies, compareBalancers, databaseDies, droneDies };
