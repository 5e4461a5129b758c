/*
 * One libcurl easy handle: makes a feed's requests and notes what comes back.
 * Callbacks of libcurl append bytes or refuse them, nothing else.
 */
#ifndef CFI_TRANSFER_H
#define CFI_TRANSFER_H

#include <curl/curl.h>

#include "feed.h"

/* What a transfer needs of the loop it runs in. */
typedef struct cfi_sockets {
  void *ctx;
  curl_socket_t (*open)(void *ctx, struct curl_sockaddr *address);
  int (*close)(void *ctx, curl_socket_t fd);
  /* Something was noted: the feed is to be stepped. */
  void (*noted)(changefeed *feed);
  /* Not so, but the peer has shown that it lives. */
  void (*beat)(changefeed *feed);
} cfi_sockets;

typedef struct cfi_transfer {
  /* what bytes that come touch, together */
  changefeed *feed;
  cfi_lane *lane; /* of the feed */
  cfi_sockets sockets;
  bool moving;    /* this answer is a redirect that is followed */
  bool active;    /* added to multi */
  bool few;       /* of a few feeds: may take memory; set before start */
  bool crowded;   /* of many feeds: takes little memory; likewise */
  bool alone;     /* on a connection that is used for nothing else; likewise */
  bool refused;   /* the feed had no room: libcurl is paused */
  bool failed;    /* the write callback gave up: no memory */
  bool login;     /* the body is a secret */
  bool connected; /* the request went out once */
  bool head_noted;
  bool held_back; /* not twice, for the rate limit's sake */
  bool foreign;   /* on another origin than the request was for */
  unsigned moves;

  const cfi_alloc *alloc;
  CURLM **multi; /* the loop's, which it makes anew after trouble */
  CURL *easy;    /* NULL until the first request */
  CURLSH **pool; /* shared with other transfers; may change before start */
  struct curl_slist *headers;
  struct curl_slist *last_plain; /* those behind it are for one origin only */
  char text[CURL_ERROR_SIZE];
} cfi_transfer;

/* Files the settings name can be read, and this libcurl can do what they ask.
   OK, ERR_OPTION, ERR_UNSUPPORTED. */
int cfi_transfer_check(const cfi_settings *s, cfi_error *error);

/* pool: where the connections of one feed are kept, for all its transfers. */
void cfi_transfer_init(cfi_transfer *t, const cfi_alloc *alloc, CURLM **multi,
                       CURLSH **pool, const cfi_sockets *sockets);
/* Ends a request under way and frees the handle. May be called again. */
void cfi_transfer_free(cfi_transfer *t);
/* Closes the connections. False: a transfer uses them still. */
bool cfi_transfer_free_pool(CURLSH **pool);

int cfi_transfer_start(cfi_transfer *t, const cfi_request *request,
                       cfi_error *error);
void cfi_transfer_cancel(cfi_transfer *t);
/* A request is under way, and the head of its answer has not come. */
bool cfi_transfer_is_asking(const cfi_transfer *t);
void cfi_transfer_unblock(cfi_transfer *t);
/* libcurl has run out of memory: ends the request, if there is one. */
void cfi_transfer_starved(cfi_transfer *t);
/* libcurl says it is over: takes it out of multi and notes the outcome. */
void cfi_transfer_done(cfi_transfer *t, CURLcode code);

#endif
