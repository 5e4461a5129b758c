#!/usr/bin/env bash
# What the library stands on is looked at: libcurl's age when it is configured
# and again when it is run, and whether yajl has its security patches. Old and
# unpatched ones are made here, as small as does it.
set -u
: "${CFT_SOURCE_DIR:?}" "${CFT_BINARY_DIR:?}"
export LC_ALL=C
cmake=${CFT_CMAKE:-cmake}
cc=${CC:-cc}

if [ "${CFT_INSTRUMENTED:-0}" = 1 ]; then
  echo "a sanitizer must be loaded before anything else"
  exit 77
fi
work=$(mktemp -d "$CFT_BINARY_DIR/dependencies.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

fail() {
  echo "$*"
  failed=1
}

# ---- libcurl, configured ----------------------------------------------------

# configure NAME OPTION...: configures the project, its words in $work/NAME.log
# with white space made one blank.
configure() {
  local name=$1 status
  shift
  "$cmake" -S "$CFT_SOURCE_DIR" -B "$work/$name" -G "${CFT_GENERATOR:-Ninja}" \
    -DCMAKE_C_COMPILER="$cc" -DCHANGEFEED_BUILD_TESTS=OFF \
    -DCHANGEFEED_BUILD_EXAMPLES=OFF "$@" >"$work/output" 2>&1
  status=$?
  tr -s ' \n' ' ' <"$work/output" >"$work/$name.log"
  return "$status"
}

mkdir -p "$work/include/curl" || exit 1
for header in "$(pkg-config --variable=includedir libcurl)" \
  /usr/include/"$("$cc" -print-multiarch)" /usr/include; do
  [ -f "$header/curl/curlver.h" ] && break
done
cp "$header"/curl/*.h "$work/include/curl/" || exit 1
sed -i 's/\(LIBCURL_VERSION \)"[^"]*"/\1"7.84.0"/
  s/\(LIBCURL_VERSION_MINOR \).*/\184/' "$work/include/curl/curlver.h"
if configure old_curl -DCURL_INCLUDE_DIR="$work/include"; then
  fail "libcurl 7.84 is taken when configured"
fi
grep -q 'libcurl 7.84.0 is too old. libchangefeed needs libcurl >= 7.85' \
  "$work/old_curl.log" || {
  fail "libcurl 7.84 is not told about:"
  cat "$work/old_curl.log"
}

# ---- libcurl, at run time ---------------------------------------------------

cat >"$work/old.c" <<'END'
#define _GNU_SOURCE
#include <curl/curl.h>
#include <dlfcn.h>
#include <string.h>

curl_version_info_data *curl_version_info(CURLversion wanted) {
  static curl_version_info_data old;
  union {
    void *object;
    curl_version_info_data *(*call)(CURLversion);
  } real;

  real.object = dlsym(RTLD_NEXT, "curl_version_info");
  if (real.object == NULL)
    return NULL;
  old = *real.call(wanted);
  old.version = "7.84.0";
  old.version_num = 0x075400;
  return &old;
}
END
cat >"$work/open.c" <<'END'
#include <changefeed/changefeed.h>
#include <stdio.h>

int main(void) {
  changefeed_options *options = NULL;
  changefeed *feed = NULL;
  int rc = changefeed_options_new(&options);

  if (rc == CHANGEFEED_OK)
    rc = changefeed_options_set(options, "url", "http://127.0.0.1:1/db");
  if (rc == CHANGEFEED_OK)
    rc = changefeed_open(&feed, NULL, options);
  printf("%d %s\n", rc, changefeed_options_error(options));
  changefeed_close(feed);
  changefeed_options_free(options);
  return 0;
}
END
"$cc" -shared -fPIC "$work/old.c" -o "$work/old.so" -ldl || exit 1
# shellcheck disable=SC2046 # a list of flags
"$cc" -DCHANGEFEED_STATIC -I"$CFT_SOURCE_DIR/include" \
  -I"$CFT_BINARY_DIR/include" "$work/open.c" "${CFT_STATIC:?}" \
  $(pkg-config --libs libcurl yajl) -pthread -o "$work/open" || exit 1
said=$("$work/open")
[ "${said%% *}" = 0 ] || fail "this libcurl is not taken: $said"
said=$(LD_PRELOAD=$work/old.so "$work/open")
[ "$said" = "-7 libcurl 7.84.0 is too old: 7.85.0 or later is needed" ] ||
  fail "an old libcurl is answered with: $said"

# ---- yajl -------------------------------------------------------------------

# As much of a yajl as the probe asks, with the fault wanted.
cat >"$work/yajl.c" <<'END'
#include <stdlib.h>
#include <yajl/yajl_parse.h>
#include <yajl/yajl_tree.h>

yajl_handle yajl_alloc(const yajl_callbacks *callbacks, yajl_alloc_funcs *funcs,
                       void *ctx) {
  (void)callbacks;
  (void)funcs;
  (void)ctx;
  return malloc(1);
}
yajl_status yajl_parse(yajl_handle handle, const unsigned char *text,
                       size_t len) {
  (void)handle;
  (void)text;
  (void)len;
  if (FAULT == 1)
    abort();
  return yajl_status_ok;
}
yajl_status yajl_complete_parse(yajl_handle handle) {
  (void)handle;
  return yajl_status_ok;
}
void yajl_free(yajl_handle handle) { free(handle); }
void *volatile kept;
yajl_val yajl_tree_parse(const char *text, char *error, size_t size) {
  (void)text;
  (void)error;
  (void)size;
  kept = malloc(40);
  if (FAULT != 2)
    free(kept);
  return NULL;
}
END
# yajl NAME FAULT: configures with a yajl that has this fault.
yajl() {
  "$cc" -shared -fPIC -DFAULT="$2" "$work/yajl.c" -o "$work/libyajl-$1.so" &&
    configure "yajl_$1" -DYAJL_LIBRARY="$work/libyajl-$1.so" &&
    return
  fail "a yajl that is $1 cannot be configured with:"
  cat "$work/yajl_$1.log"
}

yajl sound 0
grep -q 'security patches' "$work/yajl_sound.log" &&
  fail "a sound yajl is warned about"
yajl aborts 1
grep -q 'CMake Warning .*without its security patches: it does not survive the valid JSON text "\\ud800\\\\x" (CVE-2017-16516' \
  "$work/yajl_aborts.log" || {
  fail "a yajl that ends the process is not warned about:"
  cat "$work/yajl_aborts.log"
}
if "$cc" -dM -E -include features.h -x c /dev/null |
  awk '$2 == "__GLIBC__" { a = $3 } $2 == "__GLIBC_MINOR__" { b = $3 }
       END { exit !(a > 2 || a == 2 && b >= 33) }'; then
  yajl leaks 2
  grep -q 'CMake Warning .*patches: it leaks .* (CVE-2023-33460)' \
    "$work/yajl_leaks.log" || {
    fail "a yajl that leaks is not warned about:"
    cat "$work/yajl_leaks.log"
  }
fi
[ "$failed" -eq 0 ] || exit 1
echo "an old libcurl is refused twice, an unpatched yajl is warned about"
