/* The server of a run: its rows, histories and ways to it. See starve_int.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mem.h"
#include "starve_int.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

enum { FIRST_ROWS = 3 };

static cft_starving *const r = &cft_starving_now;

static void redirect(cft_conn *conn, void *user) {
  const cft_request *req;
  char headers[1024];

  while (cft_conn_read_request(conn, &req)) {
    (void)snprintf(headers, sizeof headers, "Location: %s%s\r\n",
                   (const char *)user, req->target);
    if (!cft_conn_respond(conn, 307, headers, "moved\n"))
      return;
  }
}

/* An id whose JSON text is full of escapes, so that it has to be decoded. */
static char *make_id(size_t number) {
  char *id = cft_calloc(1, r->s->long_ids + 32);

  memset(id, '"', r->s->long_ids);
  (void)snprintf(id + r->s->long_ids, 32, "d%zu", number);
  return id;
}

/* What a string says; anything else as it is. */
static char *decoded(const char *json) {
  json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
  char *text =
      cft_strdup(json_is_string(value) ? json_string_value(value) : json);

  json_decref(value);
  return text;
}

static void make_members(void) {
  if (r->s->large == 0) {
    r->members = cft_strdup(r->s->members);
    return;
  }
  r->members = cft_calloc(1, r->s->large + 8);
  memcpy(r->members, "\"a\":\"", 5);
  memset(r->members + 5, 'x', r->s->large);
  r->members[5 + r->s->large] = '"';
}

void cft_starve_put_rows(size_t count) {
  cft_starve_history *h = &r->histories[r->begun - 1];

  for (size_t i = 0; i < count; i++) {
    size_t at = h->rows++;
    char text[256];

    HOLDS(at < CFT_STARVE_ROWS, "too many rows");
    h->id[at] = make_id(r->begun * 100 + at);
    if (r->s->updates)
      cft_mini_db_event(r->mini, h->id[at], "updated");
    else
      (void)cft_mini_put_doc(r->mini, h->id[at], "1-a", false, r->members);
    if (r->s->updates)
      continue;
    cft_mini_seq(r->mini, at + 1, text, sizeof text);
    h->seq[at] = decoded(text);
  }
}

static void make_url(void) {
  const char *base = cft_peer_url(cft_mini_peer(r->mini));
  const char *path = r->s->updates ? "_db_updates" : "db";
  uint16_t port;

  r->refusing = -1;
  if (r->s->redirected) {
    r->front = cft_peer_start(NULL, redirect, (void *)(uintptr_t)base);
    base = cft_peer_url(r->front);
  }
  (void)snprintf(r->url, sizeof r->url, "%s/%s", base, path);
  if (r->s->refused) {
    r->refusing = cft_port_refusing(&port);
    HOLDS(r->refusing >= 0, "no port");
    (void)snprintf(r->url, sizeof r->url, "http://127.0.0.1:%u/%s",
                   (unsigned)port, path);
  }
}

void cft_starve_begin_server(void) {
  cft_mini_config config;
  char where[128];

  (void)snprintf(r->dir, sizeof r->dir, "/tmp/cft-starve-XXXXXX");
  HOLDS(mkdtemp(r->dir) != NULL, "no directory");
  (void)snprintf(r->path, sizeof r->path, "%s/position", r->dir);
  (void)snprintf(r->socket, sizeof r->socket, "%s/socket", r->dir);
  (void)snprintf(where, sizeof where, "unix:%s", r->socket);
  r->mini = cft_mini_start(r->s->unix_socket ? where : NULL);
  config = cft_mini_get_config(r->mini);
  if (r->s->user != NULL) {
    (void)snprintf(config.user, sizeof config.user, "%s", r->s->user);
    (void)snprintf(config.password, sizeof config.password,
                   CFT_STARVE_PASSWORD);
  }
  if (r->s->bearer != NULL) {
    (void)snprintf(config.user, sizeof config.user, "somebody");
    (void)snprintf(config.bearer, sizeof config.bearer, "%s", r->s->bearer);
  }
  cft_mini_set_config(r->mini, &config);
  if (r->s->serve != NULL)
    r->s->serve(r->mini);
  make_url();
  make_members();
  r->begun = 1;
  cft_starve_put_rows(FIRST_ROWS);
}

void cft_starve_end_server(void) {
  static const char *const ends[] = {"", ".prev", ".lock", ".tmp"};

  cft_peer_free(r->front);
  cft_mini_free(r->mini);
  if (r->refusing >= 0)
    (void)close(r->refusing);
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    char name[128];

    (void)snprintf(name, sizeof name, "%s%s", r->path, ends[i]);
    (void)unlink(name);
  }
  (void)unlink(r->socket);
  (void)rmdir(r->dir);
  for (size_t k = 0; k < 2; k++)
    for (size_t i = 0; i < r->histories[k].rows; i++) {
      free(r->histories[k].seq[i]);
      free(r->histories[k].id[i]);
    }
  free(r->record);
  free(r->members);
}

void cft_starve_recreate(void) {
  cft_mini_delete_db(r->mini);
  cft_mini_create_db(r->mini);
  r->begun++;
  cft_starve_put_rows(FIRST_ROWS + 1);
}
