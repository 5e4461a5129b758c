/*
 * /_couchsim/...; README.md lists it.
 */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const showns[] = {"shown", "zero",     "changing", "absent",
                                     "null",  "negative", NULL};

static void refuse(couch_reply *out, const char *reason) {
  couch_error(out, 400, "bad_request", reason);
}

static void done(couch_reply *out) {
  couch_json_reply(out, 200, "{\"ok\":true}");
}

static bool set_shown(const couch_json *v, couch_shown *out) {
  for (int i = 0; v->kind == COUCH_STRING && showns[i] != NULL; i++)
    if (strcmp(v->text, showns[i]) == 0) {
      *out = (couch_shown)i;
      return true;
    }
  return false;
}

static bool set_flag(const couch_json *v, bool *out) {
  *out = v->kind == COUCH_TRUE;
  return v->kind == COUCH_TRUE || v->kind == COUCH_FALSE;
}

static bool set_ms(const couch_json *v, int64_t *out) {
  return v->kind == COUCH_NUMBER && couch_to_int(v->text, out) && *out >= 0;
}

static bool set_text(const couch_json *v, char *out, size_t size) {
  if (v->kind != COUCH_STRING || v->len >= size || strpbrk(v->text, "\"\\\r\n"))
    return false;
  memcpy(out, v->text, v->len + 1);
  return true;
}

static bool set_one(couch_settings *s, const couch_json *v) {
  if (strcmp(v->key, "instance_start_time") == 0)
    return set_shown(v, &s->start_time);
  if (strcmp(v->key, "pending") == 0)
    return set_shown(v, &s->pending);
  if (strcmp(v->key, "cookie_ms") == 0)
    return set_ms(v, &s->cookie_ms);
  if (strcmp(v->key, "race_ms") == 0)
    return set_ms(v, &s->race_ms);
  if (strcmp(v->key, "race") == 0) {
    s->race = couch_json_number(v);
    return v->kind == COUCH_NUMBER && s->race >= 0 && s->race <= 1;
  }
  if (strcmp(v->key, "cookie_renewal") == 0)
    return set_flag(v, &s->cookie_renewal);
  if (strcmp(v->key, "public_dbs") == 0)
    return set_flag(v, &s->public_dbs);
  if (strcmp(v->key, "fixed_order") == 0)
    return set_flag(v, &s->fixed_order);
  if (strcmp(v->key, "late_heads") == 0)
    return set_flag(v, &s->late_heads);
  if (strcmp(v->key, "rewind_all") == 0)
    return set_flag(v, &s->rewind_all);
  if (strcmp(v->key, "version") == 0)
    return set_text(v, s->version, sizeof s->version);
  return strcmp(v->key, "uuid") == 0 && set_text(v, s->uuid, sizeof s->uuid);
}

static void settings(couch_control *c, const couch_json *v, couch_reply *out) {
  couch_settings kept = c->world->settings;
  couch_buf why = {0};
  for (const couch_json *m = v->first; m != NULL; m = m->next) {
    if (set_one(&c->world->settings, m))
      continue;
    c->world->settings = kept;
    couch_addf(&why, "no setting \"%s\" with this value", m->key);
    refuse(out, why.data);
    couch_buf_free(&why);
    return;
  }
  done(out);
}

static void show_settings(const couch_control *c, couch_reply *out) {
  const couch_settings *s = &c->world->settings;
  couch_buf json = {0};
  couch_addf(
      &json,
      "{\"instance_start_time\":\"%s\",\"pending\":\"%s\","
      "\"cookie_ms\":%lld,\"race_ms\":%lld,\"race\":%.6f,"
      "\"cookie_renewal\":%s,\"public_dbs\":%s,\"fixed_order\":%s,"
      "\"late_heads\":%s,\"rewind_all\":%s,\"version\":\"%s\","
      "\"uuid\":\"%s\"}",
      showns[s->start_time], showns[s->pending], (long long)s->cookie_ms,
      (long long)s->race_ms, s->race, s->cookie_renewal ? "true" : "false",
      s->public_dbs ? "true" : "false", s->fixed_order ? "true" : "false",
      s->late_heads ? "true" : "false", s->rewind_all ? "true" : "false",
      s->version, s->uuid);
  couch_json_reply(out, 200, json.data);
  couch_buf_free(&json);
}

static void add_rules(couch_control *c, const couch_json *v, couch_reply *out) {
  couch_buf why = {0}, json = {0};
  uint64_t id = 0;
  bool good = true;
  if (v->kind != COUCH_ARRAY)
    good = couch_rules_add(c->rules, v, &id, &why);
  for (const couch_json *m = v->kind == COUCH_ARRAY ? v->first : NULL;
       m != NULL && good; m = m->next)
    good = couch_rules_add(c->rules, m, &id, &why);
  if (good) {
    couch_addf(&json, "{\"ok\":true,\"id\":%llu}", (unsigned long long)id);
    couch_json_reply(out, 201, json.data);
  } else {
    refuse(out, why.data);
  }
  couch_buf_free(&why);
  couch_buf_free(&json);
}

static void rules(couch_control *c, const couch_request *r,
                  const couch_json *body, couch_reply *out) {
  couch_buf json = {0};
  int64_t id;
  if (couch_is(r, "POST")) {
    add_rules(c, body, out);
  } else if (couch_is(r, "GET")) {
    couch_rules_list(c->rules, &json);
    couch_json_reply(out, 200, json.data);
  } else if (!couch_is(r, "DELETE")) {
    couch_only(r, out, "DELETE,GET,POST");
  } else if (r->parts == 2) {
    couch_rules_free(c->rules);
    done(out);
  } else if (couch_to_int(r->part[2], &id) && id > 0 &&
             couch_rules_remove(c->rules, (uint64_t)id)) {
    done(out);
  } else {
    couch_error(out, 404, "not_found", "no rule has this id");
  }
  couch_buf_free(&json);
}

static bool node_of(const couch_control *c, const couch_json *v, unsigned *out,
                    couch_reply *reply) {
  int64_t node = couch_json_int(v, "node", -1);
  if (node < 0 || node >= (int64_t)c->world->nodes) {
    refuse(reply, "\"node\" is not the number of a node, from 0");
    return false;
  }
  *out = (unsigned)node;
  return true;
}

static void node(couch_control *c, const couch_json *v, couch_reply *out) {
  const couch_json *up = couch_json_get(v, "up");
  const couch_json *maintenance = couch_json_get(v, "maintenance");
  unsigned n;
  if (!node_of(c, v, &n, out))
    return;
  if (maintenance != NULL)
    c->world->maintenance[n] = maintenance->kind == COUCH_TRUE;
  if (up != NULL)
    couch_node_up(c->world, n, up->kind == COUCH_TRUE);
  done(out);
}

/* {"groups": [[0], [1, 2]]}: who is in none is in the first. */
static void split(couch_control *c, const couch_json *v, couch_reply *out) {
  const couch_json *groups = couch_json_get(v, "groups");
  unsigned group[COUCH_NODES] = {0}, number = 0;
  if (groups == NULL || groups->kind != COUCH_ARRAY) {
    refuse(out, "\"groups\" is a list of lists of nodes");
    return;
  }
  for (const couch_json *g = groups->first; g != NULL; g = g->next, number++)
    for (const couch_json *n = g->first; n != NULL; n = n->next) {
      int64_t at;
      if (n->kind != COUCH_NUMBER || !couch_to_int(n->text, &at) || at < 0 ||
          at >= (int64_t)c->world->nodes) {
        refuse(out, "\"groups\" names a node that there is not");
        return;
      }
      group[at] = number;
    }
  couch_split(c->world, group);
  done(out);
}

static couch_db *db_of(const couch_control *c, const couch_json *v,
                       couch_reply *out) {
  const char *name = couch_json_text(v, "db");
  couch_db *db = name != NULL ? couch_db_find(c->world, name) : NULL;
  if (db == NULL)
    couch_error(out, 404, "not_found", "Database does not exist.");
  return db;
}

static void snapshot(couch_control *c, const couch_json *v, bool restore,
                     couch_reply *out) {
  const char *name = couch_json_text(v, "name");
  const char *db = couch_json_text(v, "db");
  bool good = name != NULL &&
              (restore ? couch_snapshot_restore(c->world, name)
                       : db != NULL && couch_snapshot_take(c->world, name, db));
  if (!good) {
    couch_error(out, 404, "not_found", "no such snapshot or database");
    return;
  }
  /* Files are put back with the server down: no connection outlives that. */
  c->close_all = restore;
  c->close_node = -1;
  done(out);
}

static void close_some(couch_control *c, const couch_json *v) {
  const couch_json *feeds = couch_json_get(v, "feeds");
  c->close_node = couch_json_int(v, "node", -1);
  c->reset = couch_json_true(v, "reset");
  if (feeds != NULL && feeds->kind == COUCH_TRUE)
    c->close_feeds = true;
  else
    c->close_all = true;
}

static bool act(couch_control *c, const char *what, const couch_json *v,
                couch_reply *out) {
  couch_db *db;
  if (strcmp(what, "settings") == 0) {
    settings(c, v, out);
  } else if (strcmp(what, "recreate") == 0) {
    db = db_of(c, v, out);
    if (db != NULL) {
      couch_db_recreate(c->world, db);
      done(out);
    }
  } else if (strcmp(what, "node") == 0) {
    node(c, v, out);
  } else if (strcmp(what, "split") == 0) {
    split(c, v, out);
  } else if (strcmp(what, "heal") == 0) {
    const unsigned one[COUCH_NODES] = {0};
    couch_split(c->world, one);
    done(out);
  } else if (strcmp(what, "snapshot") == 0 || strcmp(what, "restore") == 0) {
    snapshot(c, v, what[0] == 'r', out);
  } else if (strcmp(what, "expire") == 0) {
    c->world->session_key = couch_next(&c->world->random);
    done(out);
  } else if (strcmp(what, "advance") == 0) {
    c->ahead_ms += couch_json_int(v, "ms", 0);
    done(out);
  } else if (strcmp(what, "close") == 0) {
    close_some(c, v);
    done(out);
  } else if (strcmp(what, "quit") == 0) {
    c->quit = true;
    done(out);
  } else {
    return false;
  }
  return true;
}

static bool show(couch_control *c, const char *what, const couch_request *r,
                 couch_reply *out) {
  couch_buf json = {0};
  const char *since = couch_param(r, "since");
  int64_t n = 0;
  if (strcmp(what, "settings") == 0) {
    show_settings(c, out);
    return true;
  }
  if (strcmp(what, "counters") == 0)
    couch_book_counters(c->book, &json);
  else if (strcmp(what, "log") == 0)
    couch_book_log(
        c->book,
        since != NULL && couch_to_int(since, &n) && n > 0 ? (uint64_t)n : 0,
        &json);
  else
    return false;
  couch_json_reply(out, 200, json.data);
  couch_buf_free(&json);
  return true;
}

void couch_control_handle(couch_control *c, const couch_request *r,
                          couch_reply *out) {
  couch_pool pool = {0};
  const couch_json *body = couch_body_json(r, &pool, out);
  const char *what = r->parts >= 2 ? r->part[1] : "";
  if (body == NULL) {
    couch_pool_free(&pool);
    return;
  }
  if (r->parts < 2 || strcmp(r->part[0], "_couchsim") != 0)
    couch_error(out, 404, "not_found", "this port knows /_couchsim/... only");
  else if (strcmp(what, "rules") == 0)
    rules(c, r, body, out);
  else if (!(couch_is(r, "POST")  ? act(c, what, body, out)
             : couch_is(r, "GET") ? show(c, what, r, out)
                                  : false))
    couch_error(out, 404, "not_found", "no such control, or not this way");
  couch_pool_free(&pool);
}
