/* A feed that is followed over real sockets while its memory fails where a test
   says so, and what must hold whatever fails: constructors answer NOMEM and can
   be called again, every row arrives, once and in order, no position is saved
   that is past a row not acknowledged, nothing is left behind in memory.

   The library's clock does not wait: when nothing happens it jumps, so that
   delays and the limit of requests cost a test no time. A test file that uses
   this says "ctest: WRAP cfi_clock_now". */
#ifndef CFT_STARVE_H
#define CFT_STARVE_H

#include "failing.h"
#include "peer_mini.h"

enum { CFT_STARVE_ROWS = 16 };

enum cft_starve_store {
  CFT_STORE_NONE,
  CFT_STORE_FILE,
  CFT_STORE_APP,
  /* The application's, with a position of a history that is gone. */
  CFT_STORE_STALE
};

enum cft_starve_event {                 /* when the first rows have arrived */
                        CFT_EVENT_NONE, /* and the feed is mode=once */
                        CFT_EVENT_PUT,
                        CFT_EVENT_RECREATE
};

typedef struct cft_starve {
  const char *name;
  const char *const *options; /* name, value ... NULL */
  bool batch, pull;
  bool late; /* acknowledges out of order, the first row last */
  enum cft_starve_store store;
  enum cft_starve_event event;
  const char *user;   /* with the password "s3cr3t pass+word"; in the URL too */
  const char *bearer; /* given by on_request */
  const char *members; /* of the documents */
  size_t large;        /* bytes of a text in them; in place of members */
  size_t long_ids;     /* so many bytes in them that JSON escapes */
  bool redirected;     /* the URL is that of a server that sends elsewhere */
  bool refused;        /* ... of a port where nobody answers */
  bool updates;        /* _db_updates */
  bool unix_socket;
  void (*serve)(cft_mini *mini); /* more about the server; or NULL */
} cft_starve;

/* Follows once; memory (schedule set, counts at 0) is the loop's. Then its
   counts tell how it went. */
void cft_starve_loop(const cft_starve *s, cft_failing *memory);

/* The same with the memory of libcurl, from cft_starve_curl_init on, which
   comes before anything else of libcurl and the library. */
void cft_starve_curl(const cft_starve *s, cft_failing *memory);
void cft_starve_curl_init(void);

typedef void cft_starve_fn(const cft_starve *s, cft_failing *memory);

/* One of them, once for each allocation, which fails. */
void cft_starve_each(cft_starve_fn *follow, const cft_starve *s);
/* One of them, once for each seed from 1 on: there is no memory for some calls
   in a row, up to four times; where, how many and how far apart is made of the
   seed. */
void cft_starve_seeds(cft_starve_fn *follow, const cft_starve *s,
                      uint64_t seeds);

#endif
