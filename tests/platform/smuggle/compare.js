// What HAProxy makes of a case that we judge otherwise, in classes. Only what
// both pass on with another meaning, and visitors who get what is not theirs,
// are wrong.
'use strict';

const CLASSES = {
  status: 'refused by both, with another status',
  more: 'HAProxy passes on what we refuse',
  less: 'HAProxy refuses what we pass on',
  fields: 'passed on by both, other fields',
  answer: 'HAProxy shows what we do not, or not what we do',
  other: 'PASSED ON BY BOTH, WITH ANOTHER MEANING',
  probe: 'THE NEXT VISITOR GOT WHAT IS NOT HIS'
};
// Both are right, and why they differ.
const EXPLAINED = {
  'a whole address': 'HAProxy passes the whole address on',
  'a whole address without a path': 'HAProxy passes the whole address on',
  'a whole address with the port of http': 'HAProxy passes the whole address on',
  'a whole address in other cases': 'HAProxy passes the whole address on',
  'the asterisk of OPTIONS, whole': 'HAProxy passes the whole address on'
};

const meaning = q => `${q.method} ${q.target} ${q.body}`;

// The class of it; null: the same.
function classify(c, outcome) {
  if (outcome.probe.length !== 0)
    return 'probe';
  if (outcome.faults.length === 0)
    return null;
  if (c.file === 'answers.txt')
    return 'answer';
  const wanted = c.expected.filter(e => e.target).map(meaning);
  const passed = outcome.passed.map(meaning);
  const common = Math.min(wanted.length, passed.length);
  for (let i = 0; i < common; i++)
    if (wanted[i] !== passed[i])
      return 'other';
  if (passed.length > wanted.length)
    return 'more';
  if (passed.length < wanted.length)
    return 'less';
  return wanted.length === 0 ? 'status' : 'fields';
}

// Prints the classes; answers how many cases are wrong.
function tell(differences) {
  let wrong = 0;
  for (const [name, title] of Object.entries(CLASSES)) {
    const these = differences.filter(d => d.kind === name);
    if (these.length === 0)
      continue;
    console.log(`${title}: ${these.length}`);
    for (const d of these) {
      const why = EXPLAINED[d.name];
      if ((name === 'other' || name === 'probe') && why === undefined)
        wrong++;
      if (name !== 'status')
        console.log(`  ${d.name}: ${d.says} => ${d.said}` +
                    (why !== undefined ? ` (${why})` : ''));
    }
  }
  return wrong;
}

module.exports = {classify, tell};
