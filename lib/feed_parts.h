/*
 * What the files of a feed offer each other, file by file. Included by feed.h,
 * behind the state they share.
 */
#ifndef CFI_FEED_PARTS_H
#define CFI_FEED_PARTS_H

/* feed.c */
/* FLUSH: over when all is saved, or when the time is. */
bool cfi_feed_end_flush(changefeed *f, bool late);
int64_t cfi_feed_now(const changefeed *f);
/* Where a run begins that goes on from nowhere. */
changefeed_str cfi_feed_beginning(const changefeed *f);
void cfi_feed_set_state(changefeed *f, int base_state);
void cfi_feed_tell_state(changefeed *f);
void cfi_feed_finish(changefeed *f, int base_state);
void cfi_feed_log(changefeed *f, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void cfi_feed_notice(changefeed *f, const changefeed_notice *notice);
/* A callback has just returned: may the step go on as if nothing was? */
bool cfi_feed_gone(const changefeed *f);

/* feed_request.c */
bool cfi_feed_begin(changefeed *f); /* WAIT is over: make the request */
void cfi_feed_plan(changefeed *f);  /* the next request, as soon as allowed */
const cfi_url *cfi_feed_where(const changefeed *f);
/* Where the request of a lane goes, or went. */
const cfi_url *cfi_feed_where_of(const changefeed *f, const cfi_lane *l);
/* Makes the request l->ask; false: f->error says why not. */
bool cfi_feed_start(changefeed *f, cfi_lane *l);
bool cfi_feed_needs_login(const changefeed *f);
/* Asks on_request; false: the feed is over, or gone. */
bool cfi_feed_may_request(changefeed *f);
/* Is it the turn of a request of this kind, CFI_TURN_...? */
bool cfi_feed_has_turn(changefeed *f, int kind);

/* feed_url.c */
char *cfi_feed_make_key(const changefeed *f, const char *of);
/* The URL of what the lane is to ask. NULL without memory. */
char *cfi_feed_make_url(changefeed *f, const cfi_lane *l);

/* What chooses rows beside a filter, and what rows hold. */
void cfi_feed_put_query(const cfi_settings *s, cfi_buf *b);
void cfi_feed_put_shape(const cfi_settings *s, cfi_buf *b);

/* feed_list.c */
int cfi_list_check(const changefeed_options *o, cfi_error *error);
/* The path of the next page, and what its response is held to. False without
   memory. */
bool cfi_list_put_url(changefeed *f, cfi_buf *b);
/* False without memory. */
bool cfi_list_begin_page(changefeed *f);
typedef enum cfi_list_verdict {
  CFI_LIST_NEW,
  CFI_LIST_SEEN,     /* the last one of the page before */
  CFI_LIST_DISORDER, /* out of order, or of the range */
  CFI_LIST_NOMEM
} cfi_list_verdict;
/* Of each row of a page, in order. */
cfi_list_verdict cfi_list_judge(changefeed *f, changefeed_str id);
/* The page that has ended was the last one. */
bool cfi_list_is_over(const changefeed *f);

/* feed_side.c */
/* The request beside the main one: confirms responses, saves positions, looks
   after the preferred endpoint. True: something was done, look again. */
bool cfi_side_step(changefeed *f);
int64_t cfi_side_due_ms(const changefeed *f);
void cfi_side_cancel(changefeed *f);
void cfi_side_drop_checks(changefeed *f);

/* feed_reply.c */
bool cfi_feed_on_head(changefeed *f);
bool cfi_feed_on_done(changefeed *f);
/* A lane's whole answer that is no feed. */
void cfi_feed_on_answer(changefeed *f, cfi_lane *l);
/* Fills f->error. */
void cfi_feed_describe(changefeed *f, const cfi_lane *l, changefeed_str error,
                       changefeed_str reason);
void cfi_feed_describe_transport(changefeed *f, const cfi_lane *l);
void cfi_feed_fault_transport(changefeed *f, const cfi_lane *l);
void cfi_feed_fault_protocol(changefeed *f, const cfi_lane *l,
                             const char *what);
/* Are there credentials that can be renewed, and were not yet? Renewing drops
   the requests and starts again; the reason is in f->error. */
bool cfi_feed_can_renew(const changefeed *f);
void cfi_feed_renew(changefeed *f);

/* feed_tail.c */
/* The response's envelope or last line was read; its position is taken. */
void cfi_feed_on_tail(changefeed *f, int64_t pending);
/* A request ends: was it productive? */
void cfi_feed_account(changefeed *f);
void cfi_feed_on_feed_done(changefeed *f);

/* feed_answer.c */
/* HTTP 200, or another status that is as good: takes what the answer says. */
void cfi_feed_on_info(changefeed *f, cfi_lane *l);
bool cfi_feed_is_excused(const changefeed *f, const cfi_lane *l);

/* feed_note.c */
bool cfi_lane_asks_rows(const cfi_lane *l); /* not a probe or a log-in */
/* For messages. */
const char *cfi_lane_asked(const changefeed *f, const cfi_lane *l);

/* feed_time.c */
bool cfi_feed_on_time(changefeed *f);
/* The request under way is done with: on to the next one. */
void cfi_feed_response_over(changefeed *f);
bool cfi_feed_was_healthy(const changefeed *f);
/* Until when the answer of a request that is no feed's has to be there. */
int64_t cfi_lane_due_ms(const changefeed *f, const cfi_lane *l);
/* The peer was silent for too long: a fault. */
void cfi_feed_fault_silence(changefeed *f, const cfi_lane *l);

/* feed_fault.c */
/* The error is in f->error: drop the request, fail or wait and try again. */
void cfi_feed_fault(changefeed *f);
void cfi_feed_fatal(changefeed *f);
void cfi_feed_drop_request(changefeed *f);
void cfi_feed_recovered(changefeed *f);
void cfi_feed_note_silence(changefeed *f);

/* feed_endpoint.c */
void cfi_endpoint_choose_home(changefeed *f);
/* After a fault: the next one, when it was the endpoint's. */
void cfi_endpoint_change(changefeed *f);
/* What the question whether home is well came to; judged on the spot. */
void cfi_endpoint_on_home(changefeed *f, const cfi_lane *l);
bool cfi_endpoint_wants_home(const changefeed *f);
/* Will it want to, when it is time? */
bool cfi_endpoint_looks_home(const changefeed *f);
/* Before a request: back home when that was found well. */
void cfi_endpoint_go_home(changefeed *f);
/* The one in use has been well for long. */
void cfi_endpoint_proven(changefeed *f);

/* feed_rows.c */
/* True: something was done, look again. */
bool cfi_feed_drain(changefeed *f, unsigned *budget);
/* Rows that are complete wait for the application. */
bool cfi_feed_rows_waiting(const changefeed *f);
/* Drops what is queued and held; it will be asked for again. */
void cfi_feed_clear_rows(changefeed *f);
int64_t cfi_feed_batch_due_ms(const changefeed *f);

void cfi_feed_drop_front(changefeed *f);
/* The step is through with what is there: the connection may bring more. */
void cfi_feed_end_turn(changefeed *f);
bool cfi_feed_body_over(const changefeed *f);
void cfi_feed_body_fault(changefeed *f, int code, const char *what,
                         const char *detail);

/* feed_deliver.c */
bool cfi_feed_may_deliver(const changefeed *f);
bool cfi_feed_batch_is_ripe(const changefeed *f, size_t most);
/* At most count of the held rows; 0: none may be delivered now. */
size_t cfi_feed_deliver(changefeed *f, size_t count);

/* feed_taken.c */
/* A held row is the application's now. */
void cfi_feed_take(changefeed *f, const cfi_held *held);
/* So many rows were taken: they are not held any more. */
void cfi_feed_taken(changefeed *f, size_t count);
/* Notes the place behind the rows taken so far: before it is looked at, and
   before their texts go. */
void cfi_feed_settle(changefeed *f);
/* The flags of a row that is about to be delivered. */
unsigned cfi_feed_judge(changefeed *f, cfi_held *held);
void cfi_feed_end_repeats(changefeed *f);

/* feed_position.c */
/* OK also when there is nothing new to save, or no store that can be written
   at once. */
int cfi_feed_save(changefeed *f, cfi_error *error);
void cfi_feed_save_if_due(changefeed *f);
int64_t cfi_feed_save_due_ms(const changefeed *f);
bool cfi_feed_set_resume(changefeed *f, changefeed_str seq, bool own);
/* The record of the acknowledged position: CHANGEFEED_END when there is none
   to write, else OK or an error. */
int cfi_feed_make_record(changefeed *f, cfi_buf *record, uint64_t *moves,
                         uint64_t *acked, cfi_error *error);
/* It is safe now. */
void cfi_feed_saved(changefeed *f, uint64_t moves, uint64_t acked);
/* It is not: when to try again. */
void cfi_feed_save_failed(changefeed *f, const cfi_error *error);
bool cfi_feed_keeps_position(const changefeed *f);
bool cfi_feed_save_is_due(const changefeed *f);
bool cfi_feed_has_unsaved(const changefeed *f);

/* feed_store.c */
const char *cfi_feed_store_key(const changefeed *f);
int cfi_feed_open_store(changefeed *f, const changefeed_options *o,
                        cfi_error *error);
/* Goes on from a stored record. OK, ERR_STORE, ERR_NOMEM. */
int cfi_feed_adopt(changefeed *f, cfi_checkpoint *c, cfi_error *error);

/* feed_local.c */
int cfi_local_open(changefeed *f, cfi_error *error);
void cfi_local_free(changefeed *f);
bool cfi_local_wants_load(const changefeed *f);
bool cfi_local_wants(const changefeed *f, cfi_ask *ask);
int64_t cfi_local_due_ms(const changefeed *f);
char *cfi_local_body(changefeed *f); /* NULL without memory */
const char *cfi_local_name(const changefeed *f);
/* The main lane's LOAD, with an answer; false: it is a refusal like others. */
bool cfi_local_on_loaded(changefeed *f, cfi_lane *l);
/* The side lane's. */
void cfi_local_on_side(changefeed *f, cfi_lane *l);
void cfi_local_on_login(changefeed *f, const cfi_lane *l);
bool cfi_local_is_saving(const changefeed *f);
/* Delivery waits while so much is acknowledged and not saved. */
bool cfi_local_is_behind(const changefeed *f);
/* Is there a position to be saved before the feed is over? */
bool cfi_local_can_flush(const changefeed *f, int final_state);
/* As soon as possible. */
void cfi_local_save_now(changefeed *f);
void cfi_feed_random_text(changefeed *f, char out[CFI_HASH_TEXT]);
/* 404 of a document, not of its database. */
bool cfi_feed_doc_is_missing(changefeed *f, cfi_lane *l);

/* feed_marker.c */
bool cfi_marker_is_due(const changefeed *f);
void cfi_marker_on_answer(changefeed *f, cfi_lane *l);
char *cfi_marker_body(changefeed *f);

#define CFI_MARKER_NAME "changefeed-marker"

/* feed_identity.c */
/* Is this the history we know? ask: what was just answered, SERVER or DATABASE.
   On a reset it does what the policy says. False: the feed is over, or gone. */
bool cfi_feed_same_history(changefeed *f, cfi_ask ask);
/* Another history begins. False: as above. */
bool cfi_feed_reset(changefeed *f, const char *reason);
/* After a fault: does it take GET / to know the server again? */
void cfi_feed_forget_server(changefeed *f);
/* Does instance_start_time tell one history from another here? */
bool cfi_feed_start_time_tells(const changefeed *f);
/* False: they read different histories, as far as each knows its own. */
bool cfi_feed_may_be_same(const changefeed *a, const changefeed *b);
/* Has anything been read that a history can differ from? */
bool cfi_feed_has_begun(const changefeed *f);

#endif
