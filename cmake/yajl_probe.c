/*
 * Exits 0 when yajl parses "\ud800\\x", a string with a lone surrogate and a
 * backslash. Unpatched builds of 2.1.0 do not come back from it.
 */
#include <stddef.h>
#include <string.h>

#include <yajl/yajl_parse.h>

static int on_string(void *ctx, const unsigned char *text, size_t len) {
  (void)ctx;
  (void)text;
  (void)len;
  return 1;
}

int main(void) {
  static const char text[] = "\"\\ud800\\\\x\"";
  yajl_callbacks callbacks;
  yajl_handle handle;
  yajl_status status;

  memset(&callbacks, 0, sizeof callbacks);
  callbacks.yajl_string = on_string;
  handle = yajl_alloc(&callbacks, NULL, NULL);
  if (handle == NULL)
    return 1;
  status = yajl_parse(handle, (const unsigned char *)text, sizeof text - 1);
  if (status == yajl_status_ok)
    status = yajl_complete_parse(handle);
  yajl_free(handle);
  return status == yajl_status_ok ? 0 : 2;
}
