/* What a provisioner sees: mirrors of both databases, kept in step on the main
   loop, read from any thread without a lock. What is read may be some moments
   old: whoever acts on it does so by a write that fails when it was too old. */
#ifndef PROVISIONER_VIEW_H
#define PROVISIONER_VIEW_H

#include "common/documents.h"
#include <uv.h>

typedef struct view view;

typedef struct view_config {
  const char *couch;        /* the server's URL, may have user:password@ */
  const char *apps, *locks; /* names of the databases */
  const char *self;         /* id of this provisioner */
  const char *boot;         /* of this life of it: the ticks with that count */
  int64_t fresh_ms;         /* a tick older than that is not fresh; 0: 15 s */
  int64_t gone_ms;          /* a balancer that has not written its document for
                               so long is gone; 0: 3 min. It writes each minute */
  /* On the loop's thread: a document was put or is gone. */
  void (*on_change)(void *ctx, const char *id);
  void (*on_synced)(void *ctx); /* both are in step; again after a reset */
  /* A mirror cannot go on: the database is gone, or rights were taken away.
     What is held can still be read. */
  void (*on_over)(void *ctx, const char *why);
  void *ctx;
} view_config;

enum { MEMBERS_MOST = 64 };

/* NULL with a sentence. */
view *view_open(uv_loop_t *loop, const view_config *config, char *error,
                size_t error_size);
void view_close(view *v);

/* ---- any thread ---- */

bool view_is_synced(const view *v);
/* Both mirrors are in step, and have brought back a tick that this provisioner
   began to write less than fresh_ms ago (tick.h): only what we wrote ourselves
   says by our own clock up to when a feed has come. Nothing is reaped, removed
   or scaled down otherwise. */
bool view_is_fresh(const view *v);
int64_t view_tick_age_ms(const view *v); /* INT64_MAX: none came back yet */
/* out->doc is a copy: app_doc_free. */
bool view_app(view *v, const char *name, app_doc *out);
/* In step, and there is no document of that app: not even one that cannot be
   read, for which view_app is false, too, when it never could be. */
bool view_app_is_gone(view *v, const char *app);
bool view_route(view *v, const char *app, route_doc *out);
bool view_drone(view *v, const char *addr, drone_doc *out);
/* each returns false to stop; what it gets is borrowed until then, and app->doc
   is only to be read: not even json_incref. Of a document that cannot be read
   the revision before it is shown, if that could; else it is passed over.
   Either is told once in the log. */
void view_each_app(view *v, bool (*each)(void *ctx, app_doc *app), void *ctx);
void view_each_route(view *v, bool (*each)(void *ctx, const route_doc *route),
                     void *ctx);
void view_each_drone(view *v, bool (*each)(void *ctx, const drone_doc *drone),
                     void *ctx);
/* Provisioners with a fresh tick, and always this one, sorted. */
size_t view_members(view *v, char names[MEMBERS_MOST][NAME_MOST + 1]);
/* Whether this provisioner is the one that looks after the app. */
bool view_is_mine(view *v, const char *app);
/* Those that are not gone. While no ticks come, nobody is taken to be. */
size_t view_balancers(view *v, balancer_doc *out, size_t most);
/* "off", "api" or "full", and its message. */
void view_maintenance(view *v, char mode[8], char msg[256]);
int64_t view_maintenance_until(view *v); /* 0: until somebody ends it */
/* The highest gen that is known of an app, its tombstone included; 0: none. */
int64_t view_gen(view *v, const char *app);

#endif
