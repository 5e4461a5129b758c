// What an app gets, what it may take, how it is ended and started again.
'use strict';
const fs = require('fs');
const net = require('net');
const path = require('path');
const {Drone, alive, app, assert, hex, instrumented, main, marked, script,
       sleep, until} = require('./harness.js');

const node = process.execPath;

// Every process below pid, by parents.
function below(pid) {
  const parents = {};
  for (const p of fs.readdirSync('/proc').filter(n => /^\d+$/.test(n))) {
    try {
      const stat = fs.readFileSync(`/proc/${p}/stat`, 'latin1');
      const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (rest[0] !== 'Z')
        parents[p] = +rest[1];
    } catch (e) { /* has ended */ }
  }
  const found = [pid];
  for (let i = 0; i < found.length; i++)
    for (const [p, parent] of Object.entries(parents))
      if (parent === found[i])
        found.push(+p);
  return found.slice(1);
}

const tests = {
  async 'environment, directory, descriptors, limits'() {
    const d = await new Drone('env').start({env: {SECRET: 'of the drone'}});
    const claim = hex();
    fs.mkdirSync(path.join(d.dir, 'run', 'older'));
    await d.serving(claim, app(`
      const own = fs.readdirSync('/proc/self/fd').map(f => {
        try { return fs.readlinkSync('/proc/self/fd/' + f); }
        catch (e) { return ''; } });
      r.end(JSON.stringify({env: process.env, cwd: process.cwd(),
        files: fs.readdirSync('.'), stdin: fs.readlinkSync('/proc/self/fd/0'),
        own, umask: process.umask(),
        limits: fs.readFileSync('/proc/self/limits', 'utf8'),
        status: fs.readFileSync('/proc/self/status', 'utf8'),
        stat: fs.readFileSync('/proc/self/stat', 'utf8')}))`),
      {env: {KEY: 'a "b" \u00e9\nc', PORT: '1', DRONE_MARK: 'x', HOME: '/h'},
       memory_mb: 300});
    const a = JSON.parse((await d.visit(claim)).body);
    assert.strictEqual(a.env.KEY, 'a "b" \u00e9\nc');
    assert.notStrictEqual(a.env.PORT, '1');
    assert.strictEqual(a.env.DRONE_MARK, d.dir);
    assert.strictEqual(a.env.HOME, '/h');
    assert.strictEqual(a.env.SECRET, undefined);
    assert.strictEqual(a.env.APP_NAME, 'shop');
    assert.strictEqual(a.cwd, path.join(d.dir, 'run', claim));
    assert.deepStrictEqual(a.files, []);
    assert.strictEqual(a.stdin, '/dev/null');
    assert.strictEqual(a.umask, 0o077);
    assert.match(a.limits, /^Max data size +314572800 +314572800/m);
    assert.match(a.limits, /^Max core file size +0 +0/m);
    assert.match(a.limits, /^Max open files +1024 +1024/m);
    assert.match(a.status, /^NoNewPrivs:\t1$/m);
    assert.match(a.status, /^SigBlk:\t0+$/m);
    const fields = a.stat.slice(a.stat.lastIndexOf(')') + 2).split(' ');
    const pid = parseInt(a.stat, 10);
    assert.strictEqual(+fields[2], pid, 'leads its group');
    assert.strictEqual(+fields[3], pid, 'leads its session');
    // Nothing of the drone: one pipe for the output, and what node has itself.
    const pipes = a.own.filter(l => l === a.own[1]);
    assert(pipes.length === 2, 'stdout and stderr: ' + a.own);
    // An unprivileged drone does not let us look.
    const drones = process.getuid() === 0
        ? fs.readdirSync(`/proc/${d.child.pid}/fd`) : [];
    for (const p of drones) {
      const link = fs.readlinkSync(`/proc/${d.child.pid}/fd/${p}`);
      if (/^(socket|\/tmp)/.test(link) && !link.startsWith(d.log))
        assert(!a.own.includes(link), link);
    }
  },

  async 'unbind ends what escapes, and wipes'() {
    const d = await new Drone('escape').start({args: ['--stop-ms', '300ms']});
    const claim = hex();
    const server = app(`r.end()`);
    // Own session, no mark, parent gone: and one that forks all the time.
    await d.serving(claim,
        `(setsid env -i /bin/sh -c '(sleep 1001 &) ; sleep 1002' &);
         (while :; do (setsid sleep 1003 &); sleep 0.05; done) &
         mkdir -p a/b/c; echo x >a/b/c/d; chmod 0 a/b; echo out; ${server}`);
    const keeper = below(d.child.pid)[0];
    await until('it has forked', () => below(d.child.pid).length > 8);
    const all = below(d.child.pid);
    const known = marked(d.dir).map(m => m.pid); // all[0] is the keeper
    assert(all.slice(1).some(p => alive(p) && !known.includes(p)),
           'one without the mark');
    const a = await d.unbind(claim);
    assert.strictEqual(a.status, 200);
    assert.strictEqual(a.json.app.state, 'none');
    assert(!alive(keeper));
    for (const p of all)
      assert(!alive(p), `${p} lives`);
    assert.deepStrictEqual(below(d.child.pid), []);
    assert.deepStrictEqual(fs.readdirSync(path.join(d.dir, 'run')), []);
    assert.strictEqual((await d.agent('GET', '/log')).body, '');
  },

  async 'SIGKILL of the drone finds those that escape, too'() {
    const d = await new Drone('orphans').start();
    const claim = hex();
    await d.serving(claim, `(setsid env -i sh -c 'sleep 1001 & sleep 1002' &);
                            ${app('r.end()')}`);
    await until('it has forked', () => below(d.child.pid).length >= 5);
    const all = below(d.child.pid);
    await d.end('SIGKILL');
    await until('all go', () => all.every(p => !alive(p)));
  },

  async 'a keeper that is killed is no way out'() {
    const d = await new Drone('keeper').start();
    const claim = hex();
    await d.serving(claim, `(setsid env -i sleep 1001 &); ${app('r.end()')}`);
    await until('it has forked', () => below(d.child.pid).length >= 3);
    const all = below(d.child.pid);
    process.kill(all[0], 'SIGKILL');
    await until('all go', () => all.every(p => !alive(p)));
    const s = await until('it is started again', async () => {
      const now = await d.state();
      return now.app.restarts === 1 && now.app.state === 'running' && now;
    });
    assert.strictEqual(s.claim.id, claim);
  },

  async 'an app that ignores SIGTERM, and one that does not'() {
    const d = await new Drone('stop').start({args: ['--stop-ms', '900ms']});
    const deaf = hex(), good = hex();
    await d.serving(deaf, `trap '' TERM; ${app('r.end()')
        .replace('exec ', '')} & while :; do sleep 1; done`);
    const began = Date.now();
    assert.strictEqual((await d.unbind(deaf)).status, 200);
    assert(Date.now() - began >= 850, 'it had its time');
    assert.strictEqual(marked(d.dir).length, 0);
    assert.strictEqual((await d.bind(good, 2)).status, 200);
    const file = path.join(d.home, 'said');
    await d.run(good, `trap 'sleep 0.6; echo bye >${file}; exit 0' TERM;
                       : >${file}; while :; do sleep 0.1; done`);
    await until('its trap is set', () => fs.existsSync(file));
    const a = d.unbind(good, 2), again = d.unbind(good, 3);
    await d.becomes('stopping');
    // Meanwhile nobody is let in, and nothing new begins.
    const v = await d.visit(good);
    assert.strictEqual(v.status, 421);
    assert.strictEqual(v.headers['x-drone-claim'], undefined);
    assert.strictEqual((await d.bind(good, 2)).json.why, 'fenced');
    assert.strictEqual((await d.bind(hex(), 9)).json.why, 'claimed');
    assert.strictEqual((await d.run(good, 'x')).json.why, 'claim');
    assert.strictEqual((await a).status, 200);
    assert.strictEqual((await again).json.fence, 3);
    assert.strictEqual(fs.readFileSync(file, 'utf8'), 'bye\n');
  },

  async 'more memory than it may have'() {
    const d = await new Drone('memory').start({args: ['--memory-mb', '200']});
    const claim = hex();
    await d.bind(claim);
    await d.run(claim, `exec ${node} ${script(`
      const kept = [];
      for (let i = 0; i < 100; i++) kept.push(Buffer.alloc(16 << 20, 1));
      console.log('had 1600 MB');`)}`);
    await until('it ends', async () => (await d.state()).app.restarts > 0);
    const log = (await d.agent('GET', '/log')).body;
    assert(!log.includes('had 1600 MB'), log);
    assert.match(log, /\[drone\] the app has ended with/);
  },

  async 'output: kept, rotated, told'() {
    const d = await new Drone('output').start(
        {args: ['--log-bytes', '10000', '--log-files', '3']});
    const claim = hex();
    await d.bind(claim);
    await d.run(claim, `i=0; while [ $i -lt 4000 ]; do
      echo "line $i" ; i=$((i+1)); done; echo wrong >&2; echo done; sleep 1000`);
    await until('all is there', async () =>
        (await d.agent('GET', '/log?bytes=5')).body === 'done\n');
    const files = fs.readdirSync(path.join(d.dir, 'log')).sort();
    assert.deepStrictEqual(files, ['output', 'output.1', 'output.2']);
    for (const f of files)
      assert(fs.statSync(path.join(d.dir, 'log', f)).size <= 10000);
    const text = (await d.agent('GET', '/log?bytes=1000000')).body;
    assert(text.length > 20000 && text.length <= 30000);
    assert(text.endsWith('line 3998\nline 3999\nwrong\ndone\n'));
    const lines = text.split('\n').slice(1, -3);
    for (let i = 1; i < lines.length; i++)
      assert.strictEqual(+lines[i].slice(5), +lines[i - 1].slice(5) + 1);
    assert.strictEqual((await d.agent('GET', '/log?bytes=11')).body,
                       '\nwrong\ndone\n'.slice(-11));
  },

  async 'ends five times: a crash loop'() {
    const d = await new Drone('loop').start();
    const claim = hex();
    await d.bind(claim);
    const began = Date.now();
    await d.run(claim, 'exit 3');
    await d.becomes('backoff');
    assert.strictEqual((await d.visit(claim)).headers['x-drone-error'],
                       'crashed');
    const s = await d.becomes('crashloop', 40000);
    const took = Date.now() - began;
    assert.strictEqual(s.app.exit, 3);
    assert.strictEqual(s.app.restarts, 5);
    assert(took >= 7000, `it was given 0.5, 1, 2 and 4 s: ${took}`);
    const v = await d.visit(claim);
    assert.strictEqual(v.status, 503);
    assert.strictEqual(v.headers['x-drone-error'], 'crashed');
    assert.strictEqual((await d.unbind(claim)).json.app.state, 'none');
  },

  async 'an app that takes no connection is starting'() {
    const d = await new Drone('silent').start();
    const claim = hex();
    await d.bind(claim);
    let v = await d.visit(claim, '/.well-known/drone');
    assert.deepStrictEqual([v.status, v.headers['x-drone-error']],
                           [503, 'starting']);
    await d.run(claim, 'exec sleep 1000');
    await until('it runs', async () => (await d.state()).app.pid !== null);
    v = await d.visit(claim, '/.well-known/drone');
    assert.deepStrictEqual([v.status, v.headers['x-drone-error']],
                           [503, 'starting']);
    assert.strictEqual((await d.state()).app.state, 'starting');
  },

  async 'a port that another program has is not the app'() {
    // The app's port, in a range of one, is taken by somebody else as soon as
    // the app is started, which listens nowhere itself.
    const probe = net.createServer().listen(0, '127.0.0.1');
    await until('a port', () => probe.address());
    const port = probe.address().port;
    await new Promise(done => probe.close(done));
    const d = await new Drone('thief').start(
        {args: ['--app-ports', `${port}-${port}`]});
    const claim = hex();
    await d.bind(claim);
    await d.run(claim, 'exec sleep 1000');
    const thief = net.createServer(c => c.end('not the app'));
    thief.listen(port, '127.0.0.1');
    await until('it is seen', () => d.output().includes('app.port_taken'));
    const s = await d.state();
    assert.notStrictEqual(s.app.state, 'running');
    assert.strictEqual((await d.visit(claim)).status, 503);
    await new Promise(done => thief.close(done));
    await d.unbind(claim);
    await d.bind(claim, 2);
    await d.run(claim, app('r.end(process.env.PORT); process.exit(1)'));
    for (let n = 0; n < 2; n++) { // the range's only port, again and again
      await d.becomes('running');
      await d.visit(claim);
      await until('it has ended', async () =>
          (await d.state()).app.restarts > n);
    }
    assert.strictEqual((await d.becomes('running')).app.restarts, 2);
  },

  async 'an app that prints without end'() {
    const d = await new Drone('flood').start();
    const claim = hex();
    await d.bind(claim);
    await d.run(claim, 'exec yes');
    await until('it prints', async () =>
        (await d.agent('GET', '/log?bytes=100')).body.endsWith('y\n'));
    for (let n = 0; n < 20; n++) {
      const began = Date.now();
      await d.state();
      assert(Date.now() - began < 5000, 'the agent answers meanwhile');
    }
    assert.strictEqual((await d.unbind(claim)).status, 200);
  },

  async 'a unix socket in place of a port'() {
    const d = await new Drone('unix').start({args: ['--app-socket']});
    const claim = hex();
    await d.serving(claim, app('r.end(process.env.SOCKET)'));
    const a = await d.visit(claim);
    assert.strictEqual(a.body, path.join(d.dir, 'run', claim, '.sock'));
    assert.strictEqual((await d.visit(claim, '/.well-known/drone')).status, 200);
    assert.strictEqual((await d.unbind(claim)).status, 200);
  },

  async 'the environment reaches nobody, the token nothing'() {
    const d = await new Drone('secret').start();
    const claim = hex();
    await d.serving(claim, app('r.end()'), {env: {PASSWORD: 'hunter-two'}});
    const file = path.join(d.dir, 'claim');
    assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600);
    assert.strictEqual(fs.statSync(d.dir).mode & 0o777, 0o700);
    assert(!d.output().includes('hunter-two'));
    assert(!JSON.stringify(await d.state()).includes('hunter-two'));
    for (const p of [d.child.pid, ...below(d.child.pid)])
      assert(!fs.readFileSync(`/proc/${p}/cmdline`, 'latin1')
                  .includes('hunter-two'));
    await d.unbind(claim);
    assert(!fs.readFileSync(file, 'latin1').includes('hunter-two'));
  }
};
main(tests);
