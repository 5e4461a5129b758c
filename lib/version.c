/*
 * The versions of the library and of what it runs on.
 */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>

#include "json.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char text[160];

static void make_text(void) {
  const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
  int yajl = cfi_json_yajl_version();

  (void)snprintf(text, sizeof text, "changefeed/%s libcurl/%s %s yajl/%d.%d.%d",
                 CHANGEFEED_VERSION, curl->version,
                 curl->ssl_version != NULL ? curl->ssl_version : "no-TLS",
                 yajl / 10000, yajl / 100 % 100, yajl % 100);
}

unsigned changefeed_version_num(void) { return CHANGEFEED_VERSION_NUM; }

const char *changefeed_version_string(void) {
  (void)pthread_once(&once, make_text);
  return text;
}
