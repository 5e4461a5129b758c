// Tables of requests and of answers against a proxy before the recorder: what
// is passed on is one unambiguous request that means what the table says, and
// each answer goes to its asker. Each case runs whole and byte by byte, and a
// visitor who comes behind it, on a connection of his own, gets his own answer.
//
//   run.js [--subject front|balancer|haproxy] [--only NAME] [--verbose]
//
// HAProxy is compared with; see compare.js.
'use strict';
const {read} = require('./table.js');
const {Recorder} = require('./recorder.js');
const {requestCase, answerCase} = require('./cases.js');
const compare = require('./compare.js');
const subjects = require('./subjects.js');

const REQUESTS = ['framing.txt', 'chunks.txt', 'lines.txt', 'hosts.txt',
                  'fields.txt', 'sequences.txt'];
const MOST_BYTEWISE = 3000;

const options = {subject: 'front'};
for (let i = 2; i < process.argv.length; i++) {
  const name = process.argv[i].replace(/^--/, '');
  options[name] = name === 'verbose' ? true : process.argv[++i];
}

const short = text => text.length < 60 ? text : `${text.slice(0, 60)}...`;

function said(outcome) {
  const answers = outcome.r.answers.map(a => a.status).join(' ') || outcome.r.end;
  const passed = outcome.passed.map(q => short(`${q.method} ${q.target}` +
      (q.body ? ` ${JSON.stringify(q.body)}` : '')));
  return [answers, ...passed].join(' | ');
}

async function main() {
  const compared = options.subject === 'haproxy';
  const recorder = new Recorder({lenient: compared});
  const subject = await subjects[options.subject](await recorder.listen());
  const cases = [...REQUESTS.flatMap(f => read(f).map(c => [c, requestCase])),
                 ...read('answers.txt').map(c => [c, answerCase])];
  const differences = [];
  let ran = 0, failed = 0;

  for (const [c, run] of cases) {
    if (options.only !== undefined && options.only !== c.name)
      continue;
    const slices = [c.bytes.length || 1];
    if (c.bytes.length <= MOST_BYTEWISE && !compared)
      slices.push(1);
    for (const slice of slices) {
      const outcome = await run(c, slice, subject, recorder);
      const kind = compared ? compare.classify(c, outcome) : null;
      ran++;
      if (kind !== null)
        differences.push({kind, name: c.name, says: short(c.says),
                          said: said(outcome)});
      if (compared || outcome.faults.length === 0 && !options.verbose)
        continue;
      failed += outcome.faults.length !== 0;
      console.log(`${c.file}: ${c.name}${slice === 1 ? ' (byte by byte)' : ''}: ` +
          `${c.says} => ${said(outcome)}\n    ${outcome.faults.join('\n    ')}`);
    }
  }
  failed += compare.tell(differences);
  if (!await subject.end() || /Sanitizer|runtime error/.test(subject.log())) {
    console.log(`${subject.name} did not end well:\n${subject.log()}`);
    failed++;
  }
  recorder.close();
  console.log(`${subject.name}: ${cases.length} cases, ${ran} runs, ` +
              `${differences.length} differ, ${failed} failed`);
  process.exit(failed !== 0 || ran === 0 ? 1 : 0);
}
main().catch(e => { console.error(e); process.exit(1); });
