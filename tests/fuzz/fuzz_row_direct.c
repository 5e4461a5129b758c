/*
 * Rows taken directly, on every path of the scanner, against the JSON parser:
 * what row_agrees.h says. All paths take the same rows.
 *
 * Input: source, then the row.
 */
#include "fuzz/fuzz.h"

#include "unit/row_agrees.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cfi_alloc alloc;
  const cfi_scan_path *path;
  cfi_row_source source;
  char *text;
  size_t len;
  bool taken;

  if (size < 2)
    return 0;
  CFT_FUZZ_CHECK(cfi_alloc_init(&alloc, NULL));
  source = (cfi_row_source)(data[0] % 3);
  len = size - 1;
  /* A block of its own: reading on is seen. */
  text = malloc(len);
  CFT_FUZZ_CHECK(text != NULL);
  memcpy(text, data + 1, len);
  taken = row_agrees(&alloc, cfi_scan_path_at(0), source, text, len);
  for (size_t i = 1; (path = cfi_scan_path_at(i)) != NULL; i++)
    CFT_FUZZ_CHECK(row_agrees(&alloc, path, source, text, len) == taken);
  free(text);
  return 0;
}
