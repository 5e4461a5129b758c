// Lives of a drone: what is held outlives every kind of end, and what a last
// life left never outlives the beginning of the next.
'use strict';
const fs = require('fs');
const path = require('path');
const {Drone, alive, app, assert, hex, instrumented, main, marked, sleep,
       until} = require('./harness.js');

const SERVER = app('r.end(String(process.pid))');

const tests = {
  async 'killed at each step of a bind'() {
    for (const point of ['bind.before', 'store.write', 'store.fsync',
                         'store.rename', 'store.dirsync', 'store.durable',
                         'bind.after']) {
      const d = await new Drone('point').start();
      const {vm} = await d.state();
      await d.end();
      await d.start({hooked: true, env: {DRONE_FAIL: `${point}:kill`}});
      const claim = hex(), other = hex();
      await assert.rejects(d.bind(claim, 1, {vm}), point);
      assert.strictEqual((await d.ended).signal, 'SIGKILL');
      await d.start();
      let s = await d.state();
      assert.strictEqual(s.vm, vm);
      // Nobody was told: held or not, the same bind again is a yes, and only
      // the one that was under way may be held.
      if (s.claim !== null)
        assert.strictEqual(s.claim.id, claim);
      if (point.startsWith('bind.a') || point === 'store.durable')
        assert.strictEqual(s.claim.id, claim);
      if (point === 'bind.before' || point === 'store.write')
        assert.strictEqual(s.claim, null);
      assert.strictEqual((await d.bind(claim, 1, {vm})).status, 200);
      assert.strictEqual((await d.bind(other, 2, {vm})).status, 409);
    }
  },

  async 'killed at any moment: who was told yes holds it'() {
    const d = await new Drone('moments').start();
    const {vm} = await d.state();
    let epoch = 0, held = null, seen = 0;
    // As often as it takes on a busy machine for enough to happen.
    for (let round = 0; round < (instrumented ? 10 : 30) || seen < 100;
         round++) {
      assert(round < 1000, `too little happens: ${seen}`);
      const told = [];
      let open = true;
      const release = async (claim, mine) => {
        told.push(['unbinding', claim]);
        if ((await d.unbind(claim, mine)).status === 200)
          told.push(['free', claim]);
      };
      const writer = async () => {
        while (open) {
          const claim = hex(), mine = ++epoch;
          try {
            const a = await d.bind(claim, mine, {vm});
            if (a.status !== 200) {
              if (a.json.claim !== null && Math.random() < 0.5)
                await release(a.json.claim.id, a.json.claim.epoch);
              continue;
            }
            told.push(['bound', claim]);
            if (Math.random() < 0.3)
              await d.run(claim, 'sleep 1000');
            else if (Math.random() < 0.7)
              await release(claim, mine);
          } catch (e) { return; } // killed under it
        }
      };
      const writers = [writer(), writer(), writer()];
      await sleep(Math.random() * 60);
      open = false;
      await d.end('SIGKILL');
      await Promise.all(writers);
      seen += told.length;
      await d.start();
      const s = await d.state();
      assert.strictEqual(s.vm, vm);
      const said = (what, claim) =>
          told.some(t => t[0] === what && t[1] === claim);
      if (s.claim !== null)
        assert(!said('free', s.claim.id), 'what was unbound is held again');
      if (held !== null && s.claim?.id !== held)
        assert(said('free', held) || said('unbinding', held),
               'a claim from before was lost');
      const kept = told.filter(t => t[0] === 'bound').map(t => t[1]).filter(
          c => !said('free', c) && !said('unbinding', c));
      for (const c of kept)
        assert.strictEqual(s.claim?.id, c, 'a yes was forgotten');
      assert(kept.length <= 1);
      held = s.claim === null ? null : s.claim.id;
    }
  },

  async 'SIGKILL takes the app along, and the next life resumes it'() {
    const d = await new Drone('along').start();
    const claim = hex();
    await d.serving(claim, SERVER, {env: {KEY: 'v'}});
    const first = +(await d.visit(claim)).body;
    const before = await d.state();
    await d.end('SIGKILL');
    await until('the app goes', () => !alive(first));
    await until('all go', () => marked(d.dir).length === 0);
    await d.start();
    const s = await d.becomes('running');
    assert.strictEqual(s.claim.id, claim);
    assert.strictEqual(s.vm, before.vm);
    assert.notStrictEqual(s.boot, before.boot);
    assert.strictEqual(s.addr, before.addr); // though it was told any port
    assert.notStrictEqual(+(await d.visit(claim)).body, first);
  },

  async 'SIGTERM ends the app and keeps the claim'() {
    const d = await new Drone('term').start();
    const claim = hex();
    await d.serving(claim, SERVER);
    const pid = +(await d.visit(claim)).body;
    assert.deepStrictEqual(await d.end(), {code: 0, signal: null});
    assert(!alive(pid));
    assert.strictEqual(marked(d.dir).length, 0);
    await d.start();
    assert.strictEqual((await d.becomes('running')).claim.id, claim);
  },

  async 'a lost file: everything is killed first, then a new vm'() {
    const d = await new Drone('lost').start();
    const claim = hex();
    await d.serving(claim, app('r.end()') + ' & (setsid sleep 1000 &) ; wait');
    const before = await d.state();
    const left = marked(d.dir);
    assert(left.length >= 3, JSON.stringify(left));
    // Drone and keeper stopped and killed so that neither can clean up.
    const keeper = left.map(p => p.parent).find(
        p => p !== d.child.pid && !left.some(o => o.pid === p));
    for (const p of left)
      process.kill(p.pid, 'SIGSTOP');
    process.kill(keeper, 'SIGSTOP');
    await d.end('SIGKILL');
    process.kill(keeper, 'SIGKILL');
    await until('the keeper has gone', () => !alive(keeper));
    assert(marked(d.dir).length >= 2, 'something is left to be found');
    fs.unlinkSync(path.join(d.dir, 'claim'));
    await d.start();
    assert.strictEqual(marked(d.dir).length, 0);
    const s = await d.state();
    assert.notStrictEqual(s.vm, before.vm);
    assert.strictEqual(s.claim, null);
    assert.strictEqual(s.fence, 0);
    assert.strictEqual((await d.bind(claim, 1, {vm: before.vm})).json.why, 'vm');
    assert.deepStrictEqual(fs.readdirSync(path.join(d.dir, 'run')), []);
    assert.deepStrictEqual(fs.readdirSync(path.join(d.dir, 'log')), []);
  },

  async 'a damaged file is a lost one, and is kept aside'() {
    const d = await new Drone('damaged').start();
    const claim = hex();
    await d.serving(claim, SERVER);
    const {vm} = await d.state();
    await d.end('SIGKILL');
    const file = path.join(d.dir, 'claim');
    const bytes = fs.readFileSync(file);
    bytes[bytes.length >> 1] ^= 4;
    fs.writeFileSync(file, bytes);
    await d.start();
    const s = await d.state();
    assert.notStrictEqual(s.vm, vm);
    assert.strictEqual(s.claim, null);
    assert(fs.existsSync(file + '.damaged'));
  },

  async 'a file of another drone is none'() {
    const a = await new Drone('one').start();
    const b = await new Drone('other').start();
    await a.bind(hex());
    const {vm} = await a.state();
    await b.end();
    fs.copyFileSync(path.join(a.dir, 'claim'), path.join(b.dir, 'claim'));
    await b.start();
    const s = await b.state();
    assert.notStrictEqual(s.vm, vm);
    assert.strictEqual(s.claim, null);
  },

  async 'a directory has one drone'() {
    const d = await new Drone('two').start();
    const words = ['--dir', d.dir, '--token-file', d.token];
    if (process.getuid() === 0)
      words.push('--as-root');
    const second = require('child_process').spawnSync(
        path.join(process.env.CFT_PLATFORM, 'drone'), words,
        {encoding: 'utf8', timeout: 20000});
    assert.strictEqual(second.status, 1);
    assert.match(second.stderr, /in use by another drone/);
    assert.strictEqual((await d.state()).claim, null);
  },

  async 'a hundred claims leave nothing behind'() {
    const d = await new Drone('flat').start();
    const measure = () => ({
      files: process.getuid() === 0
          ? fs.readdirSync(`/proc/${d.child.pid}/fd`).length : 0,
      kb: +/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(
          `/proc/${d.child.pid}/status`, 'latin1'))[1]});
    let before;
    for (let i = 1; i <= 120; i++) {
      const claim = hex();
      assert.strictEqual((await d.bind(claim, i)).status, 200);
      await d.run(claim, i % 2 ? 'exit 1' : 'echo x; exec sleep 1000');
      await d.visit(claim);
      assert.strictEqual((await d.unbind(claim, i)).status, 200);
      if (i === 20)
        before = measure();
    }
    await until('files are closed', () => measure().files <= before.files);
    if (!instrumented)
      assert(measure().kb < before.kb + 1024,
             `${before.kb} KB have become ${measure().kb}`);
    assert.strictEqual(marked(d.dir).length, 0);
  },

  async 'root is given up, or asked for'() {
    if (process.getuid() !== 0)
      return;
    const d = new Drone('root');
    const {spawnSync} = require('child_process');
    const words = ['--dir', d.dir, '--token-file', d.token];
    const program = path.join(process.env.CFT_PLATFORM, 'drone');
    let r = spawnSync(program, words, {encoding: 'utf8'});
    assert.strictEqual(r.status, 1);
    assert.match(r.stderr, /--user/);
    r = spawnSync(program, [...words, '--user', 'no-such-user'],
                  {encoding: 'utf8'});
    assert.strictEqual(r.status, 1);
    assert.match(r.stderr, /no user of this machine/);
    fs.chmodSync(d.home, 0o777);
    await d.start({args: ['--user', 'nobody']});
    const claim = hex();
    await d.serving(claim, app(`
      let words = [process.getuid(), process.getgid(),
                   process.getgroups().join()];
      for (const f of ['${d.token}', '/proc/${d.child.pid}/environ',
                       '/proc/${d.child.pid}/mem'])
        try { fs.readFileSync(f); words.push('read ' + f); } catch (e) {}
      r.end(words.join(' '))`));
    assert.strictEqual((await d.visit(claim)).body, '65534 65534 65534');
    // and what it left is found by that user, too
    await d.end('SIGKILL');
    await until('all go', () => marked(d.dir).length === 0);
    await d.start({args: ['--user', 'nobody']});
    await d.becomes('running');
    assert.strictEqual((await d.unbind(claim)).status, 200);
    assert.strictEqual((await d.end()).signal, null);
  },

  async 'a directory that cannot be written'() {
    if (process.getuid() !== 0)
      return;
    const d = new Drone('readonly');
    fs.chmodSync(d.home, 0o777);
    await d.start({args: ['--user', 'nobody']});
    fs.chownSync(d.dir, 0, 0);
    fs.chmodSync(d.dir, 0o755);
    const a = await d.bind(hex());
    assert.strictEqual(a.status, 500);
    assert.match(a.json.error, /Permission denied/);
    assert.strictEqual(a.json.claim, null);
  },

  async 'words that are wrong'() {
    const {spawnSync} = require('child_process');
    const d = new Drone('words');
    const program = path.join(process.env.CFT_PLATFORM, 'drone');
    const base = ['--dir', d.dir, '--token-file', d.token, '--as-root'];
    for (const [words, code, text] of [
      [[], 2, /--dir/], [['--dir', d.dir], 2, /--token-file/],
      [[...base, '--app-ports', '9-1'], 1, /LOW-HIGH/],
      [[...base, '--memory-mb', 'much'], 2, /memory-mb/],
      [[...base, '--public', 'here'], 2, /--public/],
      [[...base, '--addr', 'nowhere'], 1, /nowhere/],
      [[...base, '--log-level', 'loud'], 2, /log-level/],
      [['--nothing'], 2, /nothing/]]) {
      const r = spawnSync(program, words, {encoding: 'utf8'});
      assert.strictEqual(r.status, code, r.stderr);
      assert.match(r.stderr, text);
    }
    assert.strictEqual(spawnSync(program, ['--help']).status, 0);
    assert.strictEqual(spawnSync(program, ['--version']).status, 0);
  }
};

main(tests);
