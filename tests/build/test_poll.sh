#!/usr/bin/env bash
# The library as it is built where there is no epoll: the driver with poll takes
# the other's place in a copy of the archive, and tests over sockets pass with
# it. changefeed_loop_fd says that it has no such descriptor.
#
#   ctest: TIMEOUT 240
# ctest: COST 45
set -u
: "${CFT_SOURCE_DIR:?}" "${CFT_BINARY_DIR:?}" "${CFT_STATIC:?}"
export LC_ALL=C
work=$(mktemp -d "$CFT_BINARY_DIR/poll.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$CFT_SOURCE_DIR" || exit 1
read -r -a flags <<<"${CFT_CFLAGS:-}"
read -r -a libraries <<<"$(pkg-config --libs libcurl yajl check jansson) -pthread"
# shellcheck disable=SC2046,SC2207 # a list of flags
compile=("${CC:-cc}" "${flags[@]}" -std=c11 -g -DCHANGEFEED_STATIC -Iinclude
  -I"$CFT_BINARY_DIR/include" -Ilib -Itests
  $(pkg-config --cflags libcurl check jansson))

cp "$CFT_STATIC" "$work/libchangefeed.a" || exit 1
for name in driver_epoll driver_poll; do
  "${compile[@]}" -DCHANGEFEED_DRIVER_POLL -c "lib/$name.c" -o "$work/$name.c.o" &&
    ar r "$work/libchangefeed.a" "$work/$name.c.o" || exit 1
done
# So that it is that driver that is tried.
if ar t "$work/libchangefeed.a" | sort | uniq -d | grep .; then
  echo "the archive holds these twice"
  exit 1
fi
if nm "$work/libchangefeed.a" 2>/dev/null | grep -E ' U (epoll|timerfd|eventfd)'; then
  echo "there is epoll in it"
  exit 1
fi

cat >"$work/fd.c" <<'EOC'
#include <changefeed/changefeed.h>

int main(void) {
  changefeed_loop *loop;
  int fd;

  if (changefeed_loop_new(&loop, 0) != CHANGEFEED_OK)
    return 1;
  fd = changefeed_loop_fd(loop);
  changefeed_loop_free(loop);
  return fd == CHANGEFEED_ERR_UNSUPPORTED ? 0 : 2;
}
EOC
"${compile[@]}" "$work/fd.c" "$work/libchangefeed.a" "${libraries[@]}" \
  -o "$work/fd" || exit 1
"$work/fd" || {
  echo "changefeed_loop_fd does not say UNSUPPORTED"
  exit 1
}

failed=0
export CK_DEFAULT_TIMEOUT=100
for name in run_modes timer follow_transports process_signals process_threads; do
  "${compile[@]}" "tests/net/test_$name.c" "$CFT_BINARY_DIR/tests/libcft_support.a" \
    "$work/libchangefeed.a" "${libraries[@]}" -o "$work/$name" || exit 1
  if "$work/$name" >"$work/output" 2>&1; then
    grep '^100%' "$work/output"
  else
    echo "$name:"
    cat "$work/output"
    failed=1
  fi
done
exit "$failed"
