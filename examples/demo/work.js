'use strict';
// The chapters in which the platform is at work: apps are created and started,
// there are too few drones, scripts ask again and again, apps are stopped.

const { pagesText } = require('./visitors');
const { chapter, many, must, seconds, tell } = require('./tell');

const FIRST = ['shop', 'blog', 'wiki'];
const MORE = ['chat', 'mail'];
const DRONES_MOST = 16;
const SPAM_MS = 5000;
const SCRIPTS = 60;

/** Runs `apps WORD...`, shows it, and wants that exit status. */
async function run(world, wanted, ...words) {
  const { status, lines } = await world.platform.apps(...words);
  tell(`$ apps ${words.map((w) => (w.includes(' ') ? '...' : w)).join(' ')}`);
  for (const line of lines) tell(`    ${line}`);
  must(status === wanted,
    `apps ${words[0]} ${words[words.length - 1]} ended with ${status}, not ` +
    `${wanted}`);
  return lines;
}

/** Until every balancer answers a visitor of the app so. */
async function everywhere(world, app, what, isSo) {
  const { platform, until } = world;
  return until(`not every balancer says that ${what}`, async () => {
    const all = await Promise.all([...platform.balancers.keys()]
      .map((name) => platform.visit(name, app)));
    return all.every(isSo);
  });
}

const says = (page) => (answer) => answer.page === page;

/** Until so many visitors of the app have seen that page. */
function seenBy(world, app, page) {
  const pages = () => world.visitors.perApp.get(app).pages[page] || 0;
  return world.until(`visitors of ${app} have not seen ${page}`,
    () => pages() >= 5);
}

/** The words of a balancer's page, without the number of the request. */
const words = ({ body }) => body.trim().split('\n')[0]
  .replace(/ \(request .*$/, '');

// ---- chapters ---------------------------------------------------------------

async function begin(world) {
  const { platform, until, database } = world;
  chapter('The programs: two balancers, a provisioner, three drones');
  platform.init();
  tell(`provisioner --init: the databases ${database.apps} and ` +
       `${database.locks} are there`);
  await world.follow();
  tell(`changefeed follows ${database.apps} from here to the end`);
  for (const name of ['b1', 'b2']) {
    const { admin } = await platform.startBalancer(name);
    tell(`balancer ${name}: its status page is http://${admin}/`);
  }
  await platform.startProvisioner(3);
  const ms = await until('there are no three free drones',
    async () => (await platform.droneStates()).free === 3);
  tell(`provisioner: it may have 3 drones, and has made them in ${seconds(ms)}`);
}

async function create(world, apps) {
  for (const app of apps)
    await run(world, 0, 'create', app, '--env', `SITE_NONCE=${world.nonce}`,
      '--command', world.platform.command);
}

async function firstApps(world) {
  const { platform, visitors, until } = world;
  chapter('Three apps, one on each drone');
  await create(world, FIRST);
  for (const app of FIRST) {
    const lines = await run(world, 0, 'start', app);
    must(/ balancers 2\/2/.test(lines.join(' ')),
      `${app} is not live at both balancers: ${lines.join(' ')}`);
  }
  for (const app of FIRST) visitors.add(app);
  visitors.start();
  await until('visitors have not seen each app twenty times', () => {
    return FIRST.every((app) => visitors.perApp.get(app).own >= 20);
  });
  tell('40 visitors a second come from now on, app after app, through both ' +
       'balancers');
  tell(`in a browser: http://shop.localhost:` +
       `${platform.balancers.get('b1').visitors.split(':')[1]}/`);
}

async function tooFewDrones(world) {
  const { platform, visitors } = world;
  chapter('More apps than drones: who has none waits, and is not told success');
  await create(world, MORE);
  const mark = await visitors.mark();
  const waiting = MORE.map((app) => platform.apps('start', app));
  for (const app of MORE) await everywhere(world, app,
    `${app} waits for a drone`, says('E05'));
  for (const app of MORE) visitors.add(app);
  tell(`$ apps start ${MORE.join(', apps start ')}: both wait; visitors are ` +
       'told:');
  tell(`    ${words(await platform.visit('b1', MORE[1]))}`);
  for (const app of MORE) await seenBy(world, app, 'E05');

  await platform.kill(platform.provisioner);
  tell('the provisioner is killed by SIGKILL; the next one may have ' +
       `${DRONES_MOST} drones`);
  const beganMs = Date.now();
  await platform.startProvisioner(DRONES_MOST);
  const ends = await Promise.all(waiting);
  const ms = Date.now() - beganMs;
  ends.forEach(({ status, lines }, n) => {
    tell(`    ${lines[lines.length - 1]}`);
    must(status === 0, `apps start ${MORE[n]} ended with ${status}: ` +
      lines.join(' '));
  });
  world.added = Object.values(await platform.droneStates())
    .reduce((sum, n) => sum + n, 0) - FIRST.length;
  tell(`the scaler has added ${many(world.added, 'drone')}; ${MORE.join(' and ')} ` +
       `were live ${seconds(ms)} after the kill`);
  const others = FIRST.map((app) => visitors.since(mark, app).pages);
  must(others.every((pages) => Object.keys(pages).length === 0),
    `visitors of ${FIRST.join(', ')} saw pages meanwhile: ` +
    others.map(pagesText).join('; '));
}

/** { gens, writes } up to now: operations that were accepted, and writes of the
 *  apps' documents, as the database says. */
async function written(world, apps) {
  const { couch, database } = world;
  let gens = 0, writes = 0;
  for (const app of apps) {
    const doc = await couch.ask('GET', `/${database.apps}/app:${app}`);
    const route = await couch.ask('GET', `/${database.apps}/route:${app}`);
    gens += doc.want.gen;
    writes += parseInt(doc._rev, 10) + parseInt(route._rev, 10);
  }
  return { gens, writes };
}

async function spamBurst(world) {
  const { platform, visitors, until } = world;
  const apps = [...FIRST, ...MORE];
  chapter(`${SCRIPTS} scripts repeat "start" without a pause, half of them ` +
          'with "force"');
  const before = await written(world, apps);
  const mark = await visitors.mark();
  const seen = await platform.spam(SCRIPTS, SPAM_MS, apps);
  await until('not all apps are live again', async () => {
    const all = await Promise.all(apps.map(
      (app) => platform.api.ask('GET', `/apps/${app}`)));
    return all.every(({ route }) => route && route.state === 'live');
  });
  const after = await written(world, apps);
  const begun = after.gens - before.gens, writes = after.writes - before.writes;
  const { pages, own } = visitors.since(mark);
  world.spam = { calls: seen.calls, begun, writes };
  tell(`${seen.calls} calls, ${seen.perSecond} a second; told ` +
    Object.entries(seen.codes).map(([code, n]) => `${code}: ${n}`).join(', ') +
    `; ${seen.joined} joined an operation that was under way`);
  tell(`${many(begun, 'operation')} came of it, one for each app at most a ` +
       `minute, and ${many(writes, 'write')} of their documents`);
  tell(`visitors meanwhile: ${own} pages of the apps' own, pages of the ` +
       `balancers': ${pagesText(pages)}`);
  must(seen.calls >= SCRIPTS * 5, `only ${seen.calls} calls were answered`);
  must(begun <= apps.length, `${begun} operations of ${apps.length} apps`);
  must(writes <= 20 * apps.length, `${writes} writes`);
  must(Object.keys(pages).length === 0, 'visitors have noticed the scripts');
}

async function stopAndDestroy(world) {
  const { platform } = world;
  chapter('An app is stopped, another one destroyed');
  await run(world, 0, 'stop', 'mail');
  await everywhere(world, 'mail', 'mail is stopped', says('E04'));
  tell(`visitors of mail: ${words(await platform.visit('b1', 'mail'))}`);
  await seenBy(world, 'mail', 'E04');
  await run(world, 0, 'destroy', 'chat');
  await everywhere(world, 'chat', 'chat is gone', says('E01'));
  tell(`visitors of chat: ${words(await platform.visit('b1', 'chat'))}`);
  await seenBy(world, 'chat', 'E01');
}

module.exports = { STARTED: FIRST, begin, everywhere, firstApps, run, spamBurst, stopAndDestroy,
  tooFewDrones };
