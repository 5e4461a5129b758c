'use strict';
// Modules inside express-pouchdb that are replaced before it is loaded,
// because they cannot be reached from outside: a hook right after its
// authentication, and the wrapper of bulk writes. Bound to the pinned
// versions; the tests of order and of the front fail if they move.

function replace(file, exports) {
  require.cache[file] = { id: file, filename: file, loaded: true, children: [],
    paths: [], exports };
}

/** `hook` becomes the first middleware that knows the user. The module that it
 *  replaces serves CouchDB 1.x's own test suite. */
function hookAfterAuthentication(hook) {
  replace(require.resolve('express-pouchdb/lib/routes/special-test-auth'),
    (app) => app.use(hook));
}

/** Permissions and validation of each document of a bulk, with the results in
 *  the order of the documents. The original writes and answers in the order in
 *  which the checks happen to finish. */
function wrapBulkDocs(check) {
  return async (bulkDocs, args) => {
    const refusals = await Promise.all(args.docs.map((doc) =>
      check(doc, args).then(() => undefined,
        (err) => Object.assign(err, { id: doc._id }))));
    args.docs = args.docs.filter((doc, i) => !refusals[i]);
    const allowed = args.docs.length;
    const results = await bulkDocs();
    // With new_edits=false only errors are told.
    if (results.length !== allowed)
      return refusals.filter(Boolean).concat(results);
    let next = 0;
    return refusals.map((refusal) => refusal || results[next++]);
  };
}

function keepBulksInOrder() {
  const users = ['pouchdb-security', 'pouchdb-validation'];
  for (const user of users) {
    const paths = [require('path').dirname(require.resolve(user))];
    replace(require.resolve('pouchdb-bulkdocs-wrapper', { paths }), wrapBulkDocs);
  }
}

module.exports = { hookAfterAuthentication, keepBulksInOrder };
