// A headless Chromium, driven by the DevTools protocol over two pipes: no port,
// and no package besides the browser.
'use strict';
const fs = require('fs');
const path = require('path');
const {spawn, spawnSync} = require('child_process');
const {assert, scratch, until} = require('./world.js');

const names = ['chromium', 'chromium-browser', 'google-chrome'];

// The browser's program, or undefined.
function find() {
  return names.find(name => !spawnSync(name, ['--version']).error);
}

class Page {
  constructor(browser, session) {
    this.browser = browser;
    this.session = session;
    this.wrong = []; // what the console says of errors
    browser.on(session, 'Runtime.consoleAPICalled', ({type, args}) => {
      if (type === 'error' || type === 'warning' || type === 'assert')
        this.wrong.push(args.map(a => a.value || a.description).join(' '));
    });
    browser.on(session, 'Runtime.exceptionThrown', ({exceptionDetails: e}) =>
        this.wrong.push((e.exception && e.exception.description) || e.text));
    browser.on(session, 'Log.entryAdded', ({entry}) => {
      if (entry.level === 'error')
        this.wrong.push(`${entry.text} ${entry.url || ''}`);
    });
  }

  call(method, params) { return this.browser.call(method, params, this.session); }

  async eval(expression) {
    const {result, exceptionDetails: e} = await this.call('Runtime.evaluate', {
      expression, returnByValue: true, awaitPromise: true});
    if (e)
      throw new Error(`${expression}: ${e.exception ? e.exception.description
          : e.text}`);
    return result.value;
  }

  until(what, expression) { return until(what, () => this.eval(expression)); }
  text(id) { return this.eval(`document.getElementById('${id}').innerText`); }

  size(width, height, {mobile = false, scale = 1} = {}) {
    return this.call('Emulation.setDeviceMetricsOverride', {
      width, height, deviceScaleFactor: scale, mobile});
  }

  dark(is) {
    return this.call('Emulation.setEmulatedMedia', {features: [
      {name: 'prefers-color-scheme', value: is ? 'dark' : 'light'}]});
  }

  async go(url) {
    await this.call('Page.navigate', {url});
    await this.until('the page is loaded', `document.readyState === 'complete'`);
  }

  async screenshot(file) {
    const {data} = await this.call('Page.captureScreenshot', {format: 'png'});
    fs.writeFileSync(file, Buffer.from(data, 'base64'));
  }
}

class Browser {
  async start() {
    this.profile = fs.mkdtempSync(path.join(scratch, 'profile-'));
    this.log = path.join(scratch, 'browser.log');
    const log = fs.openSync(this.log, 'a');
    const arguments_ = [
      '--headless=new', '--no-sandbox', '--remote-debugging-pipe',
      `--user-data-dir=${this.profile}`, '--disable-gpu',
      '--disable-dev-shm-usage', '--no-first-run', '--disable-extensions',
      '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--no-default-browser-check', '--hide-scrollbars',
      '--force-color-profile=srgb', '--no-proxy-server', 'about:blank'];
    // Its own group: its many processes end with it.
    this.child = spawn(find(), arguments_, {
      stdio: ['ignore', log, log, 'pipe', 'pipe'], detached: true,
      env: {...process.env, HOME: this.profile, XDG_CONFIG_HOME: this.profile,
            XDG_CACHE_HOME: this.profile}});
    fs.closeSync(log);
    this.calls = new Map();
    this.events = new Map();
    this.serial = 0;
    let rest = Buffer.alloc(0);
    this.child.stdio[3].on('error', () => {});
    this.child.stdio[4].on('data', piece => {
      rest = Buffer.concat([rest, piece]);
      for (let end; (end = rest.indexOf(0)) >= 0; rest = rest.subarray(end + 1))
        this.take(JSON.parse(rest.subarray(0, end).toString()));
    });
    this.ended = new Promise(done => this.child.on('exit', code => {
      for (const {failed} of this.calls.values())
        failed(new Error(`the browser ended: ${code}\n${this.output()}`));
      this.calls.clear();
      done(code);
    }));
    await this.call('Browser.getVersion');
    return this;
  }

  output() { return fs.readFileSync(this.log, 'utf8').slice(-3000); }

  take(message) {
    if (message.id === undefined) {
      const told = this.events.get(`${message.sessionId} ${message.method}`);
      if (told) told(message.params);
      return;
    }
    const {done, failed} = this.calls.get(message.id);
    this.calls.delete(message.id);
    if (message.error) failed(new Error(message.error.message));
    else done(message.result);
  }

  on(session, method, told) { this.events.set(`${session} ${method}`, told); }

  call(method, params = {}, sessionId) {
    return new Promise((done, failed) => {
      const id = ++this.serial;
      this.calls.set(id, {done, failed});
      this.child.stdio[3].write(
          JSON.stringify({id, method, params, sessionId}) + '\0');
    });
  }

  async open(url) {
    const {targetId} = await this.call('Target.createTarget',
                                       {url: 'about:blank'});
    const {sessionId} = await this.call('Target.attachToTarget',
                                        {targetId, flatten: true});
    const page = new Page(this, sessionId);
    page.target = targetId;
    for (const domain of ['Runtime', 'Page', 'Log'])
      await page.call(`${domain}.enable`);
    await page.go(url);
    return page;
  }

  async close(page) {
    await this.call('Target.closeTarget', {targetId: page.target});
  }

  async end() {
    if (this.child === undefined)
      return;
    try { process.kill(-this.child.pid, 'SIGKILL'); } catch (e) { /* gone */ }
    await this.ended;
  }
}

module.exports = {Browser, find};
