/*
 * A database of made-up documents for measuring mirrors, served by a child
 * process: its list (_all_docs: whole, in pages, by keys) as CouchDB writes it,
 * and a feed of changes on which nothing happens.
 */
#ifndef CFT_BENCH_LIST_SERVER_H
#define CFT_BENCH_LIST_SERVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Document n of the list is doc-%08u, its revision made of n. */
enum { LIST_ID = 12, LIST_REV = 34 };
void list_id(char out[LIST_ID + 1], unsigned n);
void list_rev(char out[LIST_REV + 1], unsigned n);

/* rate: rows a second at most; 0: as fast as it goes. -1: errno. It dies with
   this process. */
pid_t list_server_start(unsigned rows, unsigned rate, uint16_t *port);
void list_server_stop(pid_t server);

#endif
