/*
 * What mirror and diff print on standard output: documents and digests, as text
 * with tabs between the fields or as lines of JSON.
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include "args.h"
#include "console.h"

typedef struct lines {
  bool json;
  console *console;
  textbuf text;
  size_t waiting; /* bytes since the reader was waited for */
  bool no_memory; /* a line was lost */
} lines;

void lines_init(lines *l, const args *a, console *c);
void lines_free(lines *l);

/* Lines of JSON in the making: an object with the member type. */
void json_begin(lines *l, const char *type);
void json_str(lines *l, const char *name, changefeed_str value);
void json_text(lines *l, const char *name, const char *value);
void json_int(lines *l, const char *name, uint64_t value);
void json_digest(lines *l, const changefeed_digest *digest);
void json_end(lines *l);
/* Text in the making. */
void line_begin(lines *l);
/* Ends either, and hands it to the console. */
void lines_send(lines *l);

/* One document: as {"type":type,...}, or mark, id, revision, document. */
void lines_entry(lines *l, const char *type, const char *mark,
                 const changefeed_entry *entry);
/* Of what, how many, and their digest. */
void lines_digest(lines *l, const changefeed_digest *digest, uint64_t count,
                  const char *of);

/* When much waits, waits until it is written. False: nobody reads it any more,
   a signal has come, or there is no memory. */
bool lines_go_on(lines *l);

#endif
