/*
 * Every setting that can fail is checked: the first failure is answered.
 */
#include "transfer_set.h"

#include <string.h>

enum {
  LIVE_BUFFER = 64 * 1024,
  CROWDED_BUFFER = 16 * 1024,
  SMALL_BUFFER = 1024
};

static CURLcode set_way(cfi_transfer *t) {
  const cfi_settings *s = &t->feed->set;
  CURLcode rc = CURLE_OK;

  if (s->unix_socket != NULL)
    CFI_SET(CURLOPT_UNIX_SOCKET_PATH, s->unix_socket);
  if (s->proxy != NULL)
    CFI_SET(CURLOPT_PROXY, strcmp(s->proxy, "-") == 0 ? "" : s->proxy);
  if (s->ca_file != NULL) {
    CFI_SET(CURLOPT_CAINFO, s->ca_file);
    CFI_SET(CURLOPT_CAPATH, NULL);
  }
  if (s->client_cert != NULL)
    CFI_SET(CURLOPT_SSLCERT, s->client_cert);
  if (s->client_key != NULL)
    CFI_SET(CURLOPT_SSLKEY, s->client_key);
  if (s->client_key_password != NULL)
    CFI_SET(CURLOPT_KEYPASSWD, s->client_key_password);
  CFI_SET(CURLOPT_SSL_VERIFYPEER, s->tls_verify != 0 ? 1L : 0L);
  CFI_SET(CURLOPT_SSL_VERIFYHOST, s->tls_verify != 0 ? 2L : 0L);
  /* Also what was compressed unasked is read. */
  CFI_SET(CURLOPT_ACCEPT_ENCODING, "");
  return rc;
}

static CURLcode set_credentials(cfi_transfer *t, const cfi_request *request) {
  const changefeed *f = t->feed;
  CURLcode rc = CURLE_OK;

  if (request->authorization != NULL)
    return rc; /* among the headers */
  if (f->set.bearer_token != NULL) {
    CFI_SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    CFI_SET(CURLOPT_XOAUTH2_BEARER, f->set.bearer_token);
  } else if (request->send_password) {
    CFI_SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    CFI_SET(CURLOPT_USERNAME, f->username);
    CFI_SET(CURLOPT_PASSWORD, f->password != NULL ? f->password : "");
  }
  CFI_SET(CURLOPT_COOKIE, request->cookie);
  return rc;
}

static bool add_header(cfi_transfer *t, const char *name, const char *value) {
  struct curl_slist *list;
  cfi_buf line;
  char *text;

  cfi_buf_init(&line, t->alloc);
  cfi_buf_puts(&line, name);
  cfi_buf_puts(&line, value);
  text = cfi_buf_text(&line);
  list = text != NULL ? curl_slist_append(t->headers, text) : NULL;
  if (text != NULL)
    cfi_wipe(text, line.len);
  cfi_buf_free(&line);
  if (list == NULL)
    return false;
  t->headers = list;
  return true;
}

static CURLcode set_headers(cfi_transfer *t, const cfi_request *request) {
  const cfi_settings *s = &t->feed->set;
  CURLcode rc = CURLE_OK;
  bool ok = add_header(t, "Accept: ", request->accept);

  if (s->compression == 0)
    ok = ok && add_header(t, "Accept-Encoding:", "");
  if (request->body != NULL)
    ok = ok && add_header(t, "Content-Type: ", request->content_type) &&
         add_header(t, "Expect:", "");
  for (t->last_plain = t->headers; ok && t->last_plain->next != NULL;)
    t->last_plain = t->last_plain->next;
  if (request->authorization != NULL)
    ok = ok && add_header(t, "Authorization: ", request->authorization);
  for (size_t i = 0; ok && i < s->header.count; i++)
    ok = add_header(t, s->header.items[i], "");
  if (!ok)
    return CURLE_OUT_OF_MEMORY;
  CFI_SET(CURLOPT_HTTPHEADER, t->headers);
  CFI_SET(CURLOPT_USERAGENT, s->user_agent != NULL
                                 ? s->user_agent
                                 : "libchangefeed/" CHANGEFEED_VERSION);
  return rc;
}

/* What is past comes as fast as the wire allows, and so may what comes; but
   thousands of feeds that wait for it need little. */
static long buffer_size(const cfi_transfer *t, cfi_ask ask) {
  const cfi_settings *s = &t->feed->set;
  int64_t most = ask == CFI_ASK_CATCHUP ? INT64_MAX
                 : ask != CFI_ASK_LIVE  ? SMALL_BUFFER
                 : t->few               ? INT64_MAX
                 : t->crowded           ? CROWDED_BUFFER
                                        : LIVE_BUFFER;

  return (long)(s->receive_buffer_bytes < most ? s->receive_buffer_bytes
                                               : most);
}

static CURLcode set_request(cfi_transfer *t, const cfi_request *request) {
  CURLcode rc = CURLE_OK;

  CFI_SET(CURLOPT_URL, request->url);
  if (request->body != NULL) {
    CFI_SET(CURLOPT_POST, 1L);
    CFI_SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
    CFI_SET(CURLOPT_COPYPOSTFIELDS, request->body);
    if (request->put)
      CFI_SET(CURLOPT_CUSTOMREQUEST, "PUT");
  }
  if (t->alone)
    CFI_SET(CURLOPT_FRESH_CONNECT, 1L);
  if (t->alone || (request->close_after && !t->crowded))
    CFI_SET(CURLOPT_FORBID_REUSE, 1L);
  CFI_SET(CURLOPT_BUFFERSIZE, buffer_size(t, request->ask));
  return rc;
}

CURLcode cfi_transfer_set(cfi_transfer *t, const cfi_request *request) {
  CURLcode rc = set_way(t);

  if (rc == CURLE_OK)
    rc = set_credentials(t, request);
  if (rc == CURLE_OK)
    rc = set_headers(t, request);
  if (rc == CURLE_OK)
    rc = set_request(t, request);
  return rc;
}
