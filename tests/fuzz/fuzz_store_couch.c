/*
 * Documents of any bytes as a server may answer them: what is accepted can be
 * written and read again as the same, also with one run more, and whether a
 * position is in it does not depend on that. The bytes are tried a second time
 * as the strings of a document, which must come back as far as JSON can hold
 * them.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "store_couch.h"

static bool same(const cfi_couch_doc *a, const cfi_couch_doc *b) {
  if (a->count != b->count || strcmp(a->rev, b->rev) != 0)
    return false;
  for (size_t i = 0; i < a->count; i++)
    if (strcmp(a->entry[i].session, b->entry[i].session) != 0 ||
        strcmp(a->entry[i].record, b->entry[i].record) != 0)
      return false;
  return true;
}

static void check_written(const cfi_alloc *heap, const cfi_couch_doc *doc) {
  cfi_couch_doc back = {0};
  cfi_error error;
  cfi_buf text;

  cfi_buf_init(&text, heap);
  CFT_FUZZ_CHECK(cfi_couch_doc_write(doc, "name", &text));
  CFT_FUZZ_CHECK(cfi_couch_doc_parse(heap, cfi_buf_data(&text), text.len, &back,
                                     &error) == CHANGEFEED_OK);
  CFT_FUZZ_CHECK(same(doc, &back));
  cfi_couch_doc_free(heap, &back);
  cfi_buf_free(&text);
}

static void try_document(const cfi_alloc *heap, const char *data, size_t size) {
  cfi_couch_doc doc = {0};
  cfi_checkpoint c = {0};
  cfi_error error, warning;
  int rc = cfi_couch_doc_parse(heap, data, size, &doc, &error);

  if (rc != CHANGEFEED_OK) {
    CFT_FUZZ_CHECK(rc == CHANGEFEED_ERR_STORE && error.text[0] != '\0');
    CFT_FUZZ_CHECK(doc.rev == NULL && doc.count == 0);
    return;
  }
  CFT_FUZZ_CHECK(doc.rev != NULL && doc.count <= CFI_COUCH_HISTORY);
  rc = cfi_couch_doc_position(heap, &doc, "name", &c, &warning, &error);
  CFT_FUZZ_CHECK((rc == CHANGEFEED_END) == (doc.count == 0));
  CFT_FUZZ_CHECK(rc != CHANGEFEED_ERR_STORE || error.text[0] != '\0');
  cfi_checkpoint_free(heap, &c);
  check_written(heap, &doc);
  CFT_FUZZ_CHECK(cfi_couch_doc_put(heap, &doc, "one more", "record", 6));
  CFT_FUZZ_CHECK(doc.count >= 1 && doc.count <= CFI_COUCH_HISTORY);
  check_written(heap, &doc);
  cfi_couch_doc_free(heap, &doc);
}

/* ASCII, which is all that a record or a session of ours is made of. */
static void try_strings(const cfi_alloc *heap, const char *data, size_t size) {
  cfi_couch_doc doc = {0};
  char *text = cfi_strndup(heap, data, size);

  if (text == NULL)
    return;
  for (size_t i = 0; i < size; i++)
    text[i] = (char)(text[i] & 0x7f);
  doc.rev = cfi_strdup(heap, "0-1");
  for (size_t i = 0; doc.rev != NULL && i < size && i < 8; i++)
    CFT_FUZZ_CHECK(cfi_couch_doc_put(heap, &doc, text + i, text, size - i));
  if (doc.rev != NULL)
    check_written(heap, &doc);
  cfi_couch_doc_free(heap, &doc);
  cfi_free(heap, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = size != 0 ? (const char *)data : "";
  cfi_alloc heap;

  CFT_FUZZ_CHECK(cfi_alloc_init(&heap, NULL));
  try_document(&heap, text, size);
  try_strings(&heap, text, size);
  return 0;
}
