/*
 * Comparing and showing the targets of redirects, by libcurl's URL API.
 */
#include "transfer_redirect.h"

#include <curl/curl.h>
#include <string.h>

#include "str.h"
#include "url.h"

/* One part of both URLs, a default port written out. */
static bool same_part(CURLU *a, CURLU *b, CURLUPart part) {
  char *of_a = NULL, *of_b = NULL;
  bool same = curl_url_get(a, part, &of_a, CURLU_DEFAULT_PORT) == CURLUE_OK &&
              curl_url_get(b, part, &of_b, CURLU_DEFAULT_PORT) == CURLUE_OK &&
              strlen(of_a) == strlen(of_b) && cfi_str_starts_nocase(of_a, of_b);

  curl_free(of_a);
  curl_free(of_b);
  return same;
}

bool cfi_redirect_same_origin(const char *a, const char *b) {
  CURLU *one = curl_url(), *two = curl_url();
  bool same = one != NULL && two != NULL &&
              curl_url_set(one, CURLUPART_URL, a, 0) == CURLUE_OK &&
              curl_url_set(two, CURLUPART_URL, b, 0) == CURLUE_OK &&
              same_part(one, two, CURLUPART_SCHEME) &&
              same_part(one, two, CURLUPART_HOST) &&
              same_part(one, two, CURLUPART_PORT);

  curl_url_cleanup(one);
  curl_url_cleanup(two);
  return same;
}

char *cfi_redirect_shown(const cfi_alloc *alloc, const char *base,
                         const char *location) {
  CURLU *handle = curl_url();
  char *whole = NULL, *shown;

  /* Set twice, it is read as a reference of the page before. What cannot be
     read so is shown as it is, which says so. */
  if (handle != NULL && base != NULL &&
      curl_url_set(handle, CURLUPART_URL, base, 0) == CURLUE_OK &&
      curl_url_set(handle, CURLUPART_URL, location, CURLU_NON_SUPPORT_SCHEME) ==
          CURLUE_OK)
    (void)curl_url_get(handle, CURLUPART_URL, &whole, 0);
  shown = cfi_url_shown(alloc, whole != NULL ? whole : location);
  curl_free(whole);
  curl_url_cleanup(handle);
  return shown;
}
