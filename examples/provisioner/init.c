/* Creates the databases; see init.h. One copy of each document of `locks`: only
   a single copy compares and swaps for everybody, and says no when it is out of
   reach. */
#include "provisioner/init.h"

#include "common/docs.h"
#include "common/log.h"
#include <stdio.h>

static bool create(docs *d, const char *name, int n, char *error, size_t size) {
  docs_answer answer;
  enum docs_result said = docs_create_db(d, n, &answer);

  if (said == DOCS_OK || said == DOCS_ACCEPTED) {
    log_event(LOG_INFO, "init.created", LS("db", name));
    return true;
  }
  if (said == DOCS_CONFLICT) {
    log_event(LOG_INFO, "init.exists", LS("db", name));
    return true;
  }
  (void)snprintf(error, size, "the database %.60s was not created: %s", name,
                 answer.error);
  return false;
}

static bool write_maintenance_off(docs *d, char *error, size_t size) {
  json_t *doc = json_pack("{s:s, s:s, s:s, s:n}", "_id", "sys:maintenance",
                          "mode", "off", "msg", "", "until");
  enum docs_result said = DOCS_REFUSED;
  docs_answer answer = {.error = "there is no memory"};

  if (doc != NULL)
    said = docs_put(d, "sys:maintenance", doc, &answer);
  json_decref(doc);
  if (said == DOCS_OK || said == DOCS_ACCEPTED || said == DOCS_CONFLICT)
    return true;
  (void)snprintf(error, size, "sys:maintenance was not written: %s",
                 answer.error);
  return false;
}

bool init_databases(const char *couch, const char *apps, const char *locks,
                    char *error, size_t error_size) {
  rest_config server = {.url = couch, .total_ms = 60000};
  docs *a = docs_new(&server, apps, error, error_size);
  docs *l = a != NULL ? docs_new(&server, locks, error, error_size) : NULL;
  bool ok = l != NULL && create(a, apps, 0, error, error_size) &&
            create(l, locks, 1, error, error_size) &&
            write_maintenance_off(a, error, error_size);

  docs_free(a);
  docs_free(l);
  return ok;
}
