/*
 * Rules say what is to go wrong, with which requests, how often. They are given
 * as JSON over the control port; the table in README.md lists them.
 */
#ifndef COUCHSIM_RULES_H
#define COUCHSIM_RULES_H

#include "api.h"

typedef struct couch_rule {
  uint64_t id;
  char *kind, *method, *db, *feed, *path; /* NULL: any */
  int64_t node;                           /* -1: any */
  int64_t skip, times;                    /* times -1: for ever */
  double chance;
  uint64_t matched, fired;
  couch_plan plan;
} couch_rule;

typedef struct couch_rules {
  couch_rule *rule;
  size_t count, cap;
  uint64_t last_id;
} couch_rules;

void couch_rules_free(couch_rules *rules);
/* False: *why says what is wrong with it. */
bool couch_rules_add(couch_rules *rules, const couch_json *rule, uint64_t *id,
                     couch_buf *why);
bool couch_rules_remove(couch_rules *rules, uint64_t id);
void couch_rules_list(const couch_rules *rules, couch_buf *json);
/* What all rules that match have for this request. */
void couch_rules_draw(couch_rules *rules, couch_world *w,
                      const couch_request *r, couch_plan *plan);

#endif
