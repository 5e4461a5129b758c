/*
 * One simulated run: a model, a server with faults, a network and an
 * application around a real feed, on a clock of their own. Everything follows
 * from the seed. What is chosen once is in sim_config, what happens is decided
 * as it happens; each rule that must hold is checked in check.c.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "feed.h"
#include "model.h"
#include "str.h"

enum {
  SIM_TRAIL = 30,
  SIM_LINE = 200,
  SIM_OPTIONS = 48,
  SIM_CHECKS = 8,
  SIM_NODES = 3,
  SIM_RETURN_MS = 20000, /* between looks at the preferred node, at most */
  SIM_PIECE_MAX = 16384  /* what libcurl hands over at once */
};

/* Of the documents that have a conflict. */
#define SIM_OTHER_LEAF "1-ffffffffffffffffffffffffffffffff"

/* What a server tells of instance_start_time. */
typedef enum sim_identity {
  SIM_IDENTITY_TRUE,    /* since 3.3 */
  SIM_IDENTITY_ZERO,    /* 2.0 to 3.2: "0" */
  SIM_IDENTITY_CHANGING /* 1.x: another one at each opening */
} sim_identity;

typedef enum sim_pending {
  SIM_PENDING_TRUE,
  SIM_PENDING_ABSENT,
  SIM_PENDING_NULL,
  SIM_PENDING_NEGATIVE
} sim_pending;

/* Chosen once for a run. Chances are out of a thousand. */
typedef struct sim_config {
  sim_identity identity;
  sim_pending pending;
  bool refuse_stale; /* a seq of another history: 400, else all of it again */
  bool may_recreate, may_crash, may_miss, may_outage, may_rotate;
  bool filtered, batch, pull, manual, session, include_docs, crlf, slow_pieces;
  bool tiny_pieces, trailing_line, tail_hangs, wide_rows;
  bool couch;     /* the position is kept in the database */
  bool marks;     /* a marker is written, and tells databases apart */
  bool read_only; /* no position may be written */
  bool no_marker; /* no marker may be */
  bool conflicts; /* a revision that is not the last is refused */
  bool intruder;  /* another follower uses our document now and then */
  bool flush_on_stop;
  bool once, since_now, all_docs, stop_at_reset, odd_answers, damage, anonymous;
  unsigned no_memory;           /* out of a million allocations */
  unsigned nodes, foreign_node; /* 0: none is foreign */
  int64_t limit, idle_ms;       /* a silent response ends, at the earliest */
  int64_t flush_ms;
  int transport; /* of the live phase; enum */
  int64_t session_ms;
  unsigned fault, save_fault, later, pause, give_up, stop_verdict, spurious;
  int64_t write_gap_ms, ack_gap_ms, admin_gap_ms, life_gap_ms, faults_ms;
  int64_t retry_max_ms, retry_limit, seq_interval, max_row, max_queue,
      header_ms;
  char values[SIM_OPTIONS][80];
  const char *options[2 * SIM_OPTIONS + 1];
  unsigned option_count;
} sim_config;

/* What one request is in for. */
typedef struct sim_plan {
  int64_t connect_ms, head_ms; /* delays; CFI_NEVER: not at all */
  int status;                  /* 0: as the server wants */
  const char *retry_after, *body;
  uint64_t cut_at;  /* bytes of body before the connection breaks */
  bool cut_clean;   /* it ends as if it were whole */
  uint64_t mute_at; /* bytes of body, then silence */
  unsigned stall_rows, error_rows, end_rows; /* after so many rows */
  int64_t end_after_ms;                      /* a live feed ends in health */
  unsigned rewind;                           /* by about so many updates */
  bool rewind_all, show_old;
  unsigned repeat; /* a row comes twice, in a thousand */
  bool hang;       /* the connection stays after the last byte */
} sim_plan;

/* A position that exists: the server has stated it behind row ordinal of a
   life. */
typedef struct sim_place {
  uint64_t ordinal;
  unsigned tag;     /* of its history */
  unsigned uuid;    /* of its server */
  sim_vec baseline; /* what is before it was not asked for */
  unsigned baseline_tag;
  char text[SIM_SEQ_TEXT];
} sim_place;

/* A _local document on the server. */
typedef struct sim_local {
  unsigned rev; /* 0: not there */
  char *text;
  sim_place place; /* of the position in it */
  bool foreign;    /* written by another follower in this life of ours */
  int64_t foreign_ms;
} sim_local;

/* One on its way there. */
typedef struct sim_put {
  sim_local *to;
  char *text;
  unsigned parent; /* the revision that it follows */
  sim_place place;
  bool tried;
  int64_t at_ms; /* when it arrives although it was given up */
} sim_put;

/* A connection with its request and what is written into it. */
typedef struct sim_conn {
  bool open;
  cfi_ask ask;
  sim_plan plan;
  int64_t connect_at_ms, head_at_ms, piece_at_ms, done_at_ms;
  bool connected, head_told, blocked;
  int status;
  unsigned cookie;      /* that came with the request */
  char cookie_text[32]; /* of a log-in's answer */
  sim_put put;
  sim_place place;  /* of the position in the answer */
  bool was_missing; /* the database, when it was answered */
  unsigned node;
  bool anonymous;     /* it is not known whose request it was */
  bool from_now;      /* since=now */
  cfi_buf out;        /* written, not delivered */
  uint64_t delivered; /* bytes */
  bool whole;         /* nothing more will be written */
  int outcome;        /* then */

  /* of a feed */
  bool feed, live, list, lines, events, tail_written, told_answer;
  unsigned tag;
  sim_vec since, pos, end;
  char since_text[SIM_SEQ_TEXT];
  char tail_seq[SIM_SEQ_TEXT]; /* as a position */
  unsigned rows, interval;
  int64_t limit;
  int64_t heartbeat_ms, timeout_ms, beat_at_ms, end_at_ms;
  int64_t pending;  /* as told; -1 */
  uint64_t tail_at; /* bytes up to its end */
  char last_row[SIM_SEQ_TEXT];
  uint64_t first_ordinal;      /* of the feed when it began */
  uint32_t snapshot[SIM_DOCS]; /* last updates when it began */
  bool placed;                 /* its end is a place */
} sim_conn;

/* A row in the hands of the application. */
typedef struct sim_given {
  uint64_t ordinal;
  unsigned tag, doc;
  uint32_t number;
  bool acked;
} sim_given;

/* The position in the application's hands. */
typedef struct sim_record {
  char *data;
  size_t len;
  sim_place place; /* of its position */
  bool damaged;
} sim_record;

typedef struct sim_counts {
  uint64_t loads, no_memory, steps, requests, rows, writes, crashes, stops,
      closes, fails, saves, save_faults, resets, recreations, checks, repeats,
      laters, pauses, refused, lives, kinds_of_fault;
} sim_counts;

typedef struct sim {
  uint64_t seed;
  bool verbose;
  cfi_random random;
  sim_config config;
  sim_model model;
  sim_counts counts;
  cfi_alloc alloc, quiet_alloc;         /* the feed's; one that does not fail */
  int64_t now_ms, began_ms, healing_ms; /* healing: CFI_NEVER before */
  bool healing;

  /* the server */
  sim_conn conn, side; /* of the main request, and beside it */
  int64_t outage_until_ms, down_until_ms[SIM_NODES];
  unsigned outage_kind;
  unsigned opened; /* how often the database was, for 1.x */
  unsigned cookie_made, cookie_valid_from;
  int64_t cookie_at_ms[4096];
  bool hidden;                /* an answer to GET / told no version, once */
  bool missed, refused_since; /* ever told: 404, 400 */
  bool missing_seen;          /* since it is missing */
  bool recreate_when_seen;
  sim_local position, marker;
  unsigned intruders;
  bool intruded;        /* in this life */
  bool save_is_sure;    /* the last save, or look at it, was answered */
  sim_put late;         /* arrives later than anybody expects */
  bool marker_given_up; /* some run of the follower does without */
  unsigned checked_tag; /* of the last GET /db that was answered */
  bool checked_any;

  /* the application */
  changefeed *feed;
  changefeed_options *options;
  bool dead;       /* crashed: nothing that happens now has an effect */
  bool stopping;   /* changefeed_stop was called */
  int64_t stop_ms; /* when */
  bool forgets;    /* the position, at the end of this life */
  bool gave_up;    /* a callback answered a negative value */
  sim_given *given;
  size_t given_count, given_cap, given_head;
  sim_place *places;
  size_t place_count, place_cap;
  uint32_t acked[SIM_HISTORIES][SIM_DOCS];  /* lasting: survives crashes */
  uint32_t seen[SIM_HISTORIES][SIM_DOCS];   /* of this life */
  uint32_t before[SIM_HISTORIES][SIM_DOCS]; /* given in lives before */
  sim_vec start;                            /* where this life began */
  uint64_t at_risk; /* documents with rows of lives before, behind it */
  uint64_t again;   /* rows of these, taken again in this life */
  unsigned app_uuid, answer_uuid;
  sim_vec baseline;      /* what is before it was not asked for */
  unsigned baseline_tag; /* of its history */
  bool pinned;           /* this life knows where "now" was */
  int reset_answer;
  bool refuses_reset;      /* the application has, in this life */
  bool began_damaged;      /* this life, with what was stored */
  bool damage_known;       /* it was told of a damaged position */
  int64_t retry_answer_ms; /* the longest in this life */
  int64_t rows_this_life;
  unsigned answer_tag; /* of the database that has answered last */
  bool reset_seen;     /* there is such a database */
  unsigned reset_tag;  /* and of the one that brought about a reset */
  unsigned app_tag;
  sim_place place; /* of the position that was saved last */
  bool app_knows_tag;
  uint64_t ordinal;
  bool lent; /* a row is in the application's hands, by changefeed_next */
  sim_given lent_row;
  char lent_seq[SIM_SEQ_TEXT]; /* "": none */
  unsigned resets_this_life;
  sim_record record;
  int last_state, last_code;
  bool live_known;
  uint64_t request_rows; /* delivered of the request under way */

  /* what is to happen next */
  int64_t write_at_ms, ack_at_ms, admin_at_ms, life_at_ms, resume_at_ms,
      pull_at_ms, open_at_ms, stop_step_ms;
  bool poke; /* step now */

  /* rules */
  unsigned failures; /* in a row */
  bool rows_since_failure;
  bool told_to_wait;     /* by an answer of this attempt */
  int64_t stream_at_ms;  /* when the last feed's head came */
  int64_t byte_at_ms;    /* when its last byte came */
  int64_t rate_ms;       /* of unproductive requests */
  unsigned asked;        /* main request and checks, of one response */
  unsigned checks;       /* of this response */
  bool ends_unconfirmed; /* the last response was not confirmed yet */
  bool ending, finished; /* the last life is being ended; it is over */
  int64_t step_ms;
  unsigned steps_now;
  bool was_live;

  char trail[SIM_TRAIL][SIM_LINE];
  uint64_t trailed;
  bool violated;
  char violation[512];
} sim;

/* sim.c */
/* True: no rule was broken; else violation and trail say which and how. */
bool sim_run(sim *s, uint64_t seed);
void sim_clear(sim *s);
uint64_t sim_pick(sim *s, uint64_t below);
bool sim_chance(sim *s, unsigned in_thousand);
void sim_trail(sim *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_violate(sim *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Between low and high, both included; small values more often. */
int64_t sim_between(sim *s, int64_t low, int64_t high);

/* config.c */
void sim_configure(sim *s);

/* plan.c */
void sim_plan_request(sim *s, sim_conn *c);

/* server.c */
/* Reads the request; what it answers is written as the time comes. */
void sim_server_take(sim *s, sim_conn *c, const cfi_request *request);
/* Decides status and writes the body, all of it or what there is now. */
void sim_server_answer(sim *s, sim_conn *c);
/* Rows, heartbeats, ends that are due in a live feed. */
void sim_server_write(sim *s);
int64_t sim_server_due_ms(const sim *s);
/* The database was deleted under an open feed. */
void sim_server_deleted(sim *s);
const char *sim_server_start_time(sim *s, char buffer[24]);

/* local.c */
bool sim_local_asked(cfi_ask ask); /* for one of them? */
void sim_local_forget(sim_conn *c);
void sim_local_take(sim *s, sim_conn *c, const cfi_request *request);
void sim_local_answer(sim *s, sim_conn *c);
/* Something in between answers. */
void sim_local_hidden_answer(sim *s, sim_conn *c);
/* The request ends without an answer that was read. */
void sim_local_abandoned(sim *s, sim_conn *c);
/* Writes what is late. */
void sim_local_run(sim *s);
void sim_local_intrude(sim *s);
/* The database is gone, and they with it. */
void sim_local_clear(sim *s);
void sim_local_free(sim *s);
/* The newest record in such a document, to be freed; NULL: none. */
char *sim_local_record(const sim *s, const char *text);

/* nodes.c */
unsigned sim_node_of(const char *url);
/* Which server it says it is. */
unsigned sim_node_uuid(const sim *s, unsigned node);
bool sim_node_is_down(const sim *s, unsigned node);
void sim_node_goes_down(sim *s, unsigned node);
void sim_server_restarts(sim *s);
/* Does the answer leave the document out, as not for everybody? */
bool sim_node_hides(const sim_conn *c, unsigned doc);

/* rate.c */
void sim_rate_clear(sim *s);
/* A request is made, the main one or a check of it, or beside. */
void sim_rate_ask(sim *s, bool of_response);
/* One beside was worth its token. */
void sim_rate_worth(sim *s);
void sim_rate_response(sim *s, bool worth);

/* body.c */
void sim_body_begin(sim *s, const char *since);
/* All rows there are now, and the end if it is due. */
void sim_body_write(sim *s);
void sim_body_end(sim *s);
bool sim_doc_matches(const sim *s, unsigned doc);
/* Is its last update to be delivered? */
bool sim_doc_wanted(const sim *s, unsigned tag, unsigned doc);

/* net.c */
void sim_net_run(sim *s);
bool sim_is_check(cfi_ask ask);
/* A request is over. read: the feed has its answer. */
void sim_conn_over(sim *s, sim_conn *c, bool read);
int64_t sim_net_due_ms(const sim *s);
extern const cfi_world sim_net_world;

/* app.c */
void sim_app_open(sim *s);
void sim_app_close(sim *s, bool save);
/* As changefeed_next: the row before is taken, and here is another. */
void sim_app_pull(sim *s);
void sim_app_ack_some(sim *s);
void sim_app_ack_all(sim *s);

/* check.c */
void sim_check_step(sim *s);
void sim_check_row(sim *s, const changefeed_change *change, unsigned *tag,
                   unsigned *doc, uint32_t *number);
void sim_check_live(sim *s);
void sim_check_saved(sim *s, const char *data, size_t len);
void sim_check_reset(sim *s, const char *reason);
void sim_check_request_begin(sim *s);
void sim_check_request_end(sim *s);
void sim_check_side_begin(sim *s, cfi_ask ask);
/* A position or marker was asked for or written, and the answer is there. */
void sim_check_side_end(sim *s, const sim_conn *c, bool good);
/* The stored position was read: the life goes on from it. NULL: none. */
void sim_check_loaded(sim *s, const sim_place *place);
/* The application has a row that it had in a life before. */
void sim_check_again(sim *s, unsigned tag, unsigned doc, uint32_t number);
void sim_check_waiting(sim *s, const changefeed_event *event);
void sim_check_failed(sim *s, const changefeed_error *error);
/* Has the application all of it, and acknowledged? */
bool sim_check_complete(const sim *s);
void sim_check_final_position(sim *s);

#endif
