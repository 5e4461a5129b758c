/*
 * Text as a JSON string. What is read as JSON goes through json.h; the little
 * that is written needs no more than this.
 */
#ifndef CFI_JSON_WRITE_H
#define CFI_JSON_WRITE_H

#include "buf.h"

/* Adds text, which is UTF-8, in quotes; fails as the string builder does. */
void cfi_json_put_string(cfi_buf *b, const char *text, size_t len);

#endif
