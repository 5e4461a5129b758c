/*
 * The rows that CouchDB writes, read without a parser: their members are known,
 * in a known order, without white space. First it finds where everything is,
 * and with that the row's end; then it copies the strings. Whatever is written
 * in another way it leaves to the parser, as whose answer its own is the same.
 */
#ifndef CFI_ROW_DIRECT_H
#define CFI_ROW_DIRECT_H

#include "arena.h"
#include "row.h"
#include "scan.h"

/* A piece of a row's text; at 0: there is none. */
typedef struct cfi_piece {
  size_t at, len;
} cfi_piece;

struct cfi_row_places {
  cfi_row_source source;
  cfi_piece seq, id, last_rev;
  size_t first_rev, rev_count;
  size_t doc; /* where it begins; 0: there is none */
  size_t end; /* of the row; 0: not known yet, or not such a row */
  bool deleted;
};

/* Reads the row of a database that begins at text, of which held bytes are
   there, its document by the scanner. END: the row ended at *pos. MORE at 0: it
   is not such a row, or it ends too early to tell; s is as it was. Otherwise as
   the scanner's object: it goes on in the document, or has a fault. */
cfi_scan_result cfi_row_find(const cfi_scan_path *path, cfi_scan *s,
                             size_t max_depth, bool one_line, const char *text,
                             size_t held, size_t *pos, cfi_row_places *out);
/* When the scanner has come to the end of a row whose document was found. Are
   the places those of the row? */
bool cfi_row_find_end(cfi_row_places *p, const char *text, size_t len,
                      size_t inner);
/* The same for a whole row, of which the scanner has told inner. */
bool cfi_row_find_whole(const cfi_scan_path *path, cfi_row_source source,
                        size_t max_depth, const char *text, size_t len,
                        size_t inner, cfi_row_places *out);

/* Fills in an empty row from its text; false without memory. */
bool cfi_row_copy(cfi_arena *texts, const char *text, const cfi_row_places *p,
                  cfi_row *out);

#endif
