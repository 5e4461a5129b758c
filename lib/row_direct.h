/*
 * The rows that CouchDB writes, taken apart without a parser: their members are
 * known, in a known order, without white space. Declines everything else, which
 * is then the parser's. What it takes, it reads as the parser would; only the
 * document is not looked into.
 */
#ifndef CFI_ROW_DIRECT_H
#define CFI_ROW_DIRECT_H

#include "arena.h"
#include "row.h"
#include "scan.h"

typedef enum cfi_direct {
  CFI_DIRECT_TAKEN,    /* it is a change */
  CFI_DIRECT_DECLINED, /* out is as it was */
  CFI_DIRECT_NOMEM
} cfi_direct;

/* The canonical row is nested no deeper, its document aside. */
enum { CFI_DIRECT_DEPTH = 3 };

/* out is an empty row; its texts are copied into the arena. inner as in
   cfi_row_parse_framed. */
cfi_direct cfi_row_direct(cfi_arena *texts, const cfi_scan_path *path,
                          cfi_row_source source, const char *text, size_t len,
                          size_t inner, cfi_row *out);

#endif
