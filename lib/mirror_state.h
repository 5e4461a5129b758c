/*
 * A mirror's state, shared by the mirror_*.c files. A mirror is an application
 * of the library: it sees feeds through the public interface alone, and opens
 * them through a "world", so that a simulated one can stand in.
 */
#ifndef CFI_MIRROR_STATE_H
#define CFI_MIRROR_STATE_H

#include <stdatomic.h>

#include "buf.h"
#include "changefeed/mirror.h"
#include "clock.h"
#include "error.h"
#include "mirror_tree.h"

/* What a mirror needs done to feeds beside looking at them. */
typedef struct cfi_mirror_world {
  int (*open)(void *ctx, changefeed **out, changefeed_options *options);
  void (*close)(void *ctx, changefeed *feed);
  int (*set_timer)(void *ctx, changefeed *feed, int64_t delay_ms);
  int (*resume)(void *ctx, changefeed *feed);
  int (*stop)(void *ctx, changefeed *feed);
  /* False: the two are known to read different histories. */
  bool (*same_history)(void *ctx, const changefeed *a, const changefeed *b);
  int64_t (*now_ms)(void *ctx);
  void *ctx;
} cfi_mirror_world;

/* A feed that reads a list, or a position, once. */
typedef struct cfi_lister {
  changefeed_mirror *mirror;
  changefeed *feed; /* NULL: idle */
  /* One row; a verdict. */
  int (*row)(changefeed_mirror *m, const changefeed_change *change);
  void (*ended)(changefeed_mirror *m);
  bool held_up; /* without memory: resumed by the timer */
  bool foreign; /* of another history than the feed: what it reads is nothing */
} cfi_lister;

typedef enum cfi_mirror_phase {
  CFI_MIRROR_STARTING, /* until the feed has its position */
  CFI_MIRROR_LISTING,  /* the list is read, and changes beside it */
  CFI_MIRROR_READING,  /* changes are read, up to the present */
  CFI_MIRROR_CLEARING, /* all is read; doubts are left */
  CFI_MIRROR_SYNCED,
  CFI_MIRROR_OVER
} cfi_mirror_phase;

typedef enum cfi_audit_step {
  CFI_AUDIT_NONE,
  CFI_AUDIT_BEFORE, /* the position before */
  CFI_AUDIT_PAGES,
  CFI_AUDIT_AFTER,
  CFI_AUDIT_WAIT, /* until the suspects are asked for again */
  CFI_AUDIT_ASK
} cfi_audit_step;

typedef struct cfi_auditor {
  cfi_audit_step step;
  changefeed_audit report;
  int64_t begun_ms, due_ms; /* due: WAIT, or of the next audit by itself */
  char *before;             /* the number of the position */
  const cfi_tree_view *view;
  cfi_tree_walk walk;
  cfi_tree_entry entry; /* where the walk is */
  bool walking;
  cfi_tree *suspects; /* id -> "rounds held served" */
  cfi_buf last;       /* behind the id asked for last in this round */
  unsigned rounds, not_live;
  int64_t round_ms[2]; /* when the two rounds before ended */
  bool full;
} cfi_auditor;

struct changefeed_mirror {
  cfi_alloc alloc;
  cfi_mirror_world world;
  changefeed_options *options; /* for listers */
  changefeed_mirror_callbacks callbacks;
  changefeed_callbacks feed_callbacks;
  int keep;
  bool lists, filtered, ticks;
  char *from, *to; /* NULL: no bound */
  char *snapshot, *key;
  int64_t snapshot_ms, audit_ms, stale_ms;

  unsigned depth; /* calls of the application, and of feeds, on the stack */
  bool closing, stop_wanted;
  bool telling; /* on_put runs: what it makes is not held yet */
  bool failing; /* the error is there; the feed is being stopped */
  bool shows;   /* there is something for readers */
  atomic_bool synced;
  cfi_mirror_phase phase;
  cfi_error error;

  changefeed *feed;
  bool followed;  /* the feed is not freed yet, and may call the store */
  bool held_up;   /* as of a lister */
  bool announce;  /* what the snapshot held is to be told first */
  cfi_buf record; /* the feed's position, as it wants it stored */

  cfi_tree *tree; /* what readers see, when published */
  cfi_tree *next; /* being made anew, to take the place of tree */
  bool rebuilding;
  bool unpublished;
  /* Deleted lately: id -> revision. When the young ones are many, the old ones
     are forgotten. */
  cfi_tree *graves, *old_graves;
  bool graves_lost; /* since the list was begun */

  cfi_lister list, keys;
  int64_t list_at_ms; /* the list is begun again; CFI_NEVER */
  cfi_tree *doubts;   /* to be asked for: id -> see mirror_doubt.c */
  cfi_tree *asking;   /* being asked for */
  int64_t ask_at_ms;
  cfi_auditor audit;

  int64_t opened_ms;
  int64_t proven_ms; /* when it was last known to be in step; -1 */
  bool stale;
  int64_t wake_ms;                 /* what the timer is set to */
  uint64_t version, saved_version; /* counts changes of the contents */
  struct cfi_mirror_file *file;    /* NULL: no snapshot */
  struct cfi_mirror_writer *writer;
  const cfi_tree_view *writing;
  uint64_t writing_version;
  int64_t save_at_ms, saved_ms;
  changefeed_mirror_stats stats;
};

/* mirror.c */
int cfi_mirror_new(changefeed_mirror **out, const cfi_alloc *alloc,
                   const cfi_mirror_world *world, changefeed_options *options,
                   const changefeed_mirror_config *config);
void cfi_mirror_close(changefeed_mirror *m);
/* Around each call that may lead to the application. leave answers false when
   the mirror is gone. */
void cfi_mirror_enter(changefeed_mirror *m);
bool cfi_mirror_leave(changefeed_mirror *m);
/* Nothing more is to be done with it: it is being closed, or over. */
bool cfi_mirror_gone(const changefeed_mirror *m);
int64_t cfi_mirror_now(const changefeed_mirror *m);
/* The error is in m->error. */
void cfi_mirror_fail(changefeed_mirror *m);
void cfi_mirror_no_memory(changefeed_mirror *m);

/* mirror_value.c: what the tables hold beside revisions */
typedef struct cfi_value {
  size_t count;
  struct cfi_value *of; /* made for that one, which is kept; NULL: for this */
  void *made;           /* by on_put */
  bool is_made;
  size_t len;  /* of text */
  char text[]; /* the document, and '\0' */
} cfi_value;
cfi_tree_values cfi_value_rules(changefeed_mirror *m);
/* NULL without memory. text absent: no document. */
cfi_value *cfi_value_new(changefeed_mirror *m, changefeed_str text);
/* What on_put has made, which may be what it made before, for old. */
void cfi_value_give(cfi_value *v, cfi_value *old, void *made);
void cfi_value_drop(changefeed_mirror *m, cfi_value *v);
void cfi_entry_fill(changefeed_entry *out, const cfi_tree_entry *e);

/* mirror_apply.c: one document's new state. OK, LATER (no memory; nothing was
   changed), STOP, or a negative verdict of the application. */
int cfi_mirror_put(changefeed_mirror *m, changefeed_str id, changefeed_str rev,
                   changefeed_str doc);
int cfi_mirror_remove(changefeed_mirror *m, changefeed_str id);
bool cfi_mirror_find(const changefeed_mirror *m, changefeed_str id,
                     cfi_tree_entry *out);
bool cfi_mirror_in_range(const changefeed_mirror *m, changefeed_str id);
/* Makes readers see what changed. */
void cfi_mirror_publish(changefeed_mirror *m);
/* Tells the application of what the snapshot held. A verdict. */
int cfi_mirror_announce(changefeed_mirror *m);
/* What was made anew takes the place of what is shown. A verdict. */
int cfi_mirror_switch(changefeed_mirror *m);

/* mirror_merge.c: what rows mean. Verdicts as above. */
int cfi_merge_change(changefeed_mirror *m, const changefeed_change *c);
int cfi_merge_listed(changefeed_mirror *m, const changefeed_change *c);
void cfi_merge_forget(changefeed_mirror *m);

/* mirror_doubt.c */
/* False without memory. */
bool cfi_doubt_note(changefeed_mirror *m, changefeed_str id);
/* told: what the feed says of it, in doubt until the server agrees. */
bool cfi_doubt_note_told(changefeed_mirror *m, changefeed_str id,
                         changefeed_str rev, bool deleted);
/* The feed has told what is not in doubt. False without memory. */
bool cfi_doubt_settle(changefeed_mirror *m, changefeed_str id);
bool cfi_doubt_any(const changefeed_mirror *m);
bool cfi_doubt_has(const changefeed_mirror *m, changefeed_str id);
void cfi_doubt_clear(changefeed_mirror *m);
/* Asks if there is something to ask and it is time. */
void cfi_doubt_step(changefeed_mirror *m);
int64_t cfi_doubt_due_ms(const changefeed_mirror *m);
/* The server's word on one document; held: what the mirror held when it was
   asked, absent: nothing. */
int cfi_doubt_answer(changefeed_mirror *m, const changefeed_change *c,
                     changefeed_str held);

/* mirror_lister.c */
typedef struct cfi_list_request {
  const char *from, *to; /* NULL: no bound */
  const char *keys;      /* a JSON array; NULL: the range */
  bool position;         /* no list: where the feed of changes is now */
} cfi_list_request;
/* False: why is in m->error. */
bool cfi_lister_open(cfi_lister *l, const cfi_list_request *request);
void cfi_lister_close(cfi_lister *l);
/* A table of ids as the JSON array of the first most of them; NULL without
   memory. */
char *cfi_lister_keys(changefeed_mirror *m, cfi_tree_walk *walk, size_t most,
                      bool (*taken)(void *ctx, const cfi_tree_entry *e),
                      void *ctx);

/* mirror_feed.c: the feed that follows */
int cfi_mirror_follow(changefeed_mirror *m, changefeed_options *options);
/* After something may have changed: synced? published? the timer? */
void cfi_mirror_settle(changefeed_mirror *m);
/* The list was of another history: it is begun again, unless the feed finds
   that history, too. */
void cfi_mirror_list_again(changefeed_mirror *m);
void cfi_mirror_wake(changefeed_mirror *m);
int64_t cfi_mirror_fresh_ms(changefeed_mirror *m);

/* mirror_audit.c */
int cfi_audit_begin(changefeed_mirror *m);
void cfi_audit_go_on(changefeed_mirror *m);
/* Another history, or the end. */
void cfi_audit_drop(changefeed_mirror *m);
/* The feed has told of a document: what was seen of it before counts for
   nothing. False without memory. */
bool cfi_audit_moved(changefeed_mirror *m, changefeed_str id);
int64_t cfi_audit_due_ms(const changefeed_mirror *m);
void cfi_audit_free(changefeed_mirror *m);

/* mirror_save.c */
int cfi_mirror_load(changefeed_mirror *m, cfi_error *error);
/* All at once. */
int cfi_mirror_save(changefeed_mirror *m, const char *path, cfi_error *error);
void cfi_save_step(changefeed_mirror *m);
int64_t cfi_save_due_ms(const changefeed_mirror *m);
void cfi_save_drop(changefeed_mirror *m);

#endif
