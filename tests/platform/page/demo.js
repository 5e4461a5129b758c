// What examples/demo.sh --keep leaves, in a real browser, by the addresses that
// it prints: node demo.js STATUS-URL APP-URL STOPPED-URL. The status page shows
// the demo's routes and two balancers with one digest; the app's page is its own.
'use strict';
const fs = require('fs');
const {assert, scratch, until} = require('./world.js');
const {Browser, find} = require('./browser.js');

const [status, app, stopped] = process.argv.slice(2);

const text = selector =>
    `document.querySelector('${selector}').innerText`;

// The rows of a table's body, as what their cells say.
const rows = id => `[...document.querySelectorAll('#${id} tr')].map(
    row => [...row.children].map(cell => cell.innerText))`;

async function look(browser) {
  const page = await browser.open(status);
  // A balancer asks its peers every few seconds.
  await until('both balancers are in step', async () => {
    const [own, other] = await page.eval(rows('balancers'));
    return other !== undefined && own[1] === other[1] && own[1].length === 32 &&
        own[5] === 'this one' && other[5] === 'same';
  });
  assert.deepStrictEqual((await page.eval(rows('balancers'))).map(row => row[0]),
                         ['b1', 'b2']);
  await page.until('the routes are listed',
                   `${rows('list')}.length === 4`);
  const routes = await page.eval(rows('list'));
  assert.deepStrictEqual(routes.map(([name, , hosts]) => [name, hosts]), [
    ['blog', 'blog.localhost'], ['mail', 'mail.localhost'],
    ['shop', 'shop.localhost'], ['wiki', 'wiki.localhost']]);
  assert.ok(routes.every(([name, state, , to]) => name === 'mail'
      ? state.startsWith('stopped') && to === ''
      : state.startsWith('live') && to.startsWith('127.1.')), `${routes}`);
  await page.until('all is well', `${text('#state')} === 'well'`);
  assert.deepStrictEqual(page.wrong, [], 'what the console says');

  await page.go(app);
  assert.strictEqual(await page.eval(text('h1')), 'shop');
  assert.match(await page.eval(text('body')), /site of shop, and of nobody else/);
  await page.go(stopped);
  assert.match(await page.eval(text('body')), /switched off[^]*E04/);
}

async function main() {
  if (find() === undefined) {
    console.log('SKIPPED: there is no Chromium (Debian: chromium)');
    return 77;
  }
  const browser = new Browser();
  try {
    await browser.start();
    await look(browser);
    return 0;
  } catch (err) {
    console.log(`FAILED in the browser: ${err.stack}`);
    return 1;
  } finally {
    await browser.end();
    fs.rmSync(scratch, {recursive: true, force: true});
  }
}

main().then(code => process.exit(code));
