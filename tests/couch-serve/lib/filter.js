'use strict';
// Filters of a changes feed. A filter either decides by id alone (`accept`,
// no document is read) or by documents, a page of them at once (`keep`). Code
// from design documents runs in a context of its own with a time limit: an
// endless loop ends the request, not the server.

const vm = require('vm');
const { matchesSelector } = require('pouchdb-selector-core');
const { HttpError, badRequest, notFound } = require('./reply');

const TIME_LIMIT_MS = 1000; // it stops the server as well: CouchDB has 5 s
const OPERATORS = new Set(['$and', '$or', '$nor', '$not', '$eq', '$ne', '$lt',
  '$lte', '$gt', '$gte', '$in', '$nin', '$exists', '$type', '$size', '$mod',
  '$regex', '$all', '$elemMatch', '$allMatch']);
const PRELUDE = `
  function isArray(x) { return Array.isArray(x); }
  function toJSON(x) { return JSON.stringify(x); }
  function log() {}
  var hit = false;
  function emit() { hit = true; }
  function byFilter(f, docs, req) {
    return docs.map(function (doc) { return Boolean(f(doc, req)); });
  }
  function byView(f, docs) {
    return docs.map(function (doc) { hit = false; f(doc); return hit; });
  }`;

const serverError = (reason) => new HttpError(500, 'error', reason);

function scriptError(err) {
  if (err instanceof HttpError) return err;
  if (err && err.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT')
    return serverError('{os_process_error,"OS process timed out."}');
  const name = err && err.name;
  return serverError(typeof name === 'string' && /Error$/.test(name) ?
    `{<<"${name}">>,\n {[]}}` : '{<<"unnamed_error">>,null}');
}

/** A function from a design document, ready to judge pages of documents. */
class Code {
  constructor(source, kind, request) {
    this.context = vm.createContext({ source, request: JSON.stringify(request) });
    vm.runInContext(PRELUDE, this.context);
    try {
      vm.runInContext('var f = eval("(" + source + ")")', this.context,
        { timeout: TIME_LIMIT_MS });
      if (typeof this.context.f !== 'function')
        throw new TypeError('expression does not eval to a function.');
    } catch (err) {
      throw serverError('{compilation_error,\n    <<' +
        JSON.stringify(`${err.name}: ${err.message}`) + '>>}');
    }
    this.script = new vm.Script(`JSON.stringify(${kind}(f, JSON.parse(docs), ` +
      'JSON.parse(request)))');
  }

  keep(docs) {
    this.context.docs = JSON.stringify(docs);
    try {
      return JSON.parse(this.script.runInContext(this.context,
        { timeout: TIME_LIMIT_MS }));
    } catch (err) {
      throw scriptError(err);
    } finally {
      this.context.docs = undefined;
    }
  }
}

function idsOf(query, body) {
  const refuse = () =>
    badRequest('`doc_ids` filter parameter is not a list of doc ids.');
  let ids = body && body.doc_ids;
  if (ids === undefined && query.doc_ids !== undefined) {
    try {
      ids = JSON.parse(query.doc_ids);
    } catch (err) {
      throw refuse();
    }
  }
  if (!Array.isArray(ids) || ids.some((id) => typeof id !== 'string'))
    throw refuse();
  return new Set(ids);
}

function checkOperators(selector) {
  const open = [selector];
  while (open.length > 0) {
    const value = open.pop();
    if (value === null || typeof value !== 'object') continue;
    for (const [key, inner] of Object.entries(value)) {
      if (key.startsWith('$') && !OPERATORS.has(key))
        throw badRequest(`Invalid operator: ${key}`);
      open.push(inner);
    }
  }
}

function project(doc, fields) {
  const result = {};
  for (const field of fields)
    if (Object.hasOwn(doc, field)) result[field] = doc[field];
  return result;
}

function bySelector(body) {
  if (body === undefined)
    throw badRequest('Selector must be specified in POST payload');
  const { selector, fields } = body;
  if (selector === null || typeof selector !== 'object' ||
      Array.isArray(selector))
    throw badRequest('Selector error: expected a JSON object');
  checkOperators(selector);
  const judge = (doc) => matchesSelector(doc, selector);
  return {
    keep: (docs) => docs.map(judge),
    project: Array.isArray(fields) ? (doc) => project(doc, fields) : undefined,
  };
}

async function byDesign(database, { query, request }) {
  const view = query.filter === '_view';
  const form = view ? '`view` must be of the form `designname/viewname`' :
    '`filter` must be of the form `designname/filtername`';
  const parts = String(view ? query.view : query.filter).split('/');
  if (parts.length !== 2 || parts.includes('')) throw badRequest(form);
  const db = await database.pouch;
  const ddoc = await database.orGone(db.get(`_design/${parts[0]}`));
  const kind = view ? 'views' : 'filters';
  const found = ddoc[kind] && ddoc[kind][parts[1]];
  const source = view ? found && found.map : found;
  if (typeof source !== 'string')
    throw notFound(`missing json key: ${ddoc[kind] ? parts[1] : kind}`);
  return new Code(source, view ? 'byView' : 'byFilter', request);
}

/**
 * @param {object} asked query; body of a POST, or undefined; request: what a
 *   filter function gets as its second argument
 * @returns {Promise<{accept, keep, project, partial}>} partial: the rows not
 *   given count as pending, as CouchDB has it for ids
 */
async function makeFilter(database, asked) {
  const { query, body } = asked;
  switch (query.filter) {
    case undefined:
      return {};
    case '_doc_ids': {
      const ids = idsOf(query, body);
      return { accept: (id) => ids.has(id), partial: true };
    }
    case '_design':
      return { accept: (id) => id.startsWith('_design/'), partial: true };
    case '_selector':
      return bySelector(body);
    default:
      if (query.filter !== '_view' && query.filter.startsWith('_'))
        throw badRequest('unknown builtin filter name');
      return byDesign(database, asked);
  }
}

module.exports = { makeFilter };
