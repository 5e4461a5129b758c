/*
 * Takes one whole row (or envelope, or error body) apart and says what it is.
 * Decoded strings live in the parser's arena; the document stays a piece of the
 * text. It knows no sockets and no positions.
 */
#ifndef CFI_ROW_H
#define CFI_ROW_H

#include "alloc.h"

typedef enum cfi_row_kind {
  CFI_ROW_CHANGE, /* id and changes, or id and error; db_name in _db_updates */
  CFI_ROW_END,    /* last_seq, even null, or results: the end of a response */
  CFI_ROW_ERROR,  /* the server's {"error":..,"reason":..} */
  CFI_ROW_BAD,    /* anything else: why */
  CFI_ROW_NOMEM
} cfi_row_kind;

typedef enum cfi_row_source {
  CFI_ROW_OF_DATABASE,   /* rows of _changes */
  CFI_ROW_OF_DB_UPDATES, /* rows of _db_updates */
  CFI_ROW_OF_ALL_DOCS    /* rows of _all_docs */
} cfi_row_source;

/* All strings end in '\0' and live until cfi_row_reset. */
typedef struct cfi_row {
  changefeed_str seq; /* a string's content, or the JSON text of a number or
                         array; absent when null or missing */
  changefeed_str id;
  const changefeed_str *revs;
  size_t rev_count;
  size_t doc_offset, doc_len; /* in the row's text; doc_len 0: none */
  bool deleted;
  bool has_error; /* CHANGE: "error" beside the id, of any type but null */
  changefeed_str last_seq;
  int64_t pending;  /* -1: missing, null, negative or not a number */
  bool has_results; /* the envelope of a list had its "results" array */
  changefeed_str error, reason; /* absent when they are not strings */
  const char *why;              /* BAD: half a sentence, static */
} cfi_row;

typedef struct cfi_row_parser cfi_row_parser;
typedef struct cfi_row_places cfi_row_places; /* see row_direct.h */

/* NULL without memory. */
cfi_row_parser *cfi_row_parser_new(const cfi_alloc *alloc, size_t max_depth);
void cfi_row_parser_free(cfi_row_parser *p);

/* text must not change while it runs. Rows parsed before stay valid. */
cfi_row_kind cfi_row_parse(cfi_row_parser *p, cfi_row_source source,
                           const char *text, size_t len, cfi_row *out);
/* The same for a row that a frame with the parser's max_depth has cut, with
   what its item tells. If the row is written as CouchDB writes rows, its
   document is not read again: of that, what the frame has seen is certain (its
   strings end, no control character is in them, as many brackets close as
   open), and nothing else. inner 0, places NULL: as cfi_row_parse. */
cfi_row_kind cfi_row_parse_framed(cfi_row_parser *p, cfi_row_source source,
                                  const char *text, size_t len, size_t inner,
                                  const cfi_row_places *places, cfi_row *out);
/* The reference: by the JSON parser alone. What the others answer is this. */
cfi_row_kind cfi_row_parse_by_json(cfi_row_parser *p, cfi_row_source source,
                                   const char *text, size_t len, cfi_row *out);
/* Forgets all rows parsed so far; keeps the memory of a batch of ordinary rows
   for the next one. */
void cfi_row_reset(cfi_row_parser *p);
/* No row is expected soon: gives back what reset keeps. */
void cfi_row_rest(cfi_row_parser *p);

#endif
