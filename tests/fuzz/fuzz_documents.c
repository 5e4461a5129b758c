/*
 * Any bytes as each of the platform's documents: what is refused has a sentence
 * and leaves nothing; what is accepted is written, and read again as the same.
 */
#include "common/documents.c"
#include "common/documents_write.c"
#include "common/ids.h"
#include "fuzz/fuzz.h"

static void try_drone(const json_t *doc) {
  drone_doc first, second;
  char why[256] = "";
  json_t *again;

  memset(&first, 0, sizeof first);
  memset(&second, 0, sizeof second);
  if (!drone_doc_read(doc, &first, why, sizeof why)) {
    CFT_FUZZ_CHECK(why[0] != '\0');
    CFT_FUZZ_CHECK(memcmp(&first, &second, sizeof first) == 0);
    return;
  }
  again = drone_doc_write(&first);
  CFT_FUZZ_CHECK(again != NULL);
  CFT_FUZZ_CHECK(drone_doc_read(again, &second, why, sizeof why));
  CFT_FUZZ_CHECK(memcmp(&first, &second, sizeof first) == 0);
  json_decref(again);
}

static void try_route(const json_t *doc) {
  static route_doc first, second;
  char why[256] = "";
  json_t *again;

  memset(&first, 0, sizeof first);
  memset(&second, 0, sizeof second);
  if (!route_doc_read(doc, &first, why, sizeof why)) {
    CFT_FUZZ_CHECK(why[0] != '\0');
    CFT_FUZZ_CHECK(memcmp(&first, &second, sizeof first) == 0);
    return;
  }
  again = route_doc_write(&first);
  CFT_FUZZ_CHECK(again != NULL);
  CFT_FUZZ_CHECK(route_doc_read(again, &second, why, sizeof why));
  CFT_FUZZ_CHECK(memcmp(&first, &second, sizeof first) == 0);
  json_decref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  json_t *doc = json_loadb((const char *)data, size,
                           JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
  static app_doc app;
  char why[8] = "";

  if (doc == NULL)
    return 0;
  try_drone(doc);
  try_route(doc);
  if (app_doc_read(doc, &app, why, sizeof why))
    app_doc_free(&app);
  else
    CFT_FUZZ_CHECK(why[0] != '\0');
  json_decref(doc);
  return 0;
}
