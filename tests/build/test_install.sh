#!/usr/bin/env bash
# What `cmake --install` leaves is enough for a stranger: the tree is installed,
# moved elsewhere, and a consumer is built with pkg-config, with pkg-config
# --static and with find_package, and run.
set -u
: "${CFT_SOURCE_DIR:?}" "${CFT_BINARY_DIR:?}"
cmake=${CFT_CMAKE:-cmake}
cc=${CC:-cc}
work=$(mktemp -d "$CFT_BINARY_DIR/install.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
# A build with sanitizers needs their flags in everything linked with it.
read -r -a cflags <<<"${CFT_CFLAGS:-}"

die() {
  echo "$*"
  exit 1
}

# Runs a command, shows its output only when it fails.
quietly() {
  "$@" >"$work/output" 2>&1 || {
    cat "$work/output"
    die "FAILED: $*"
  }
}

# The consumer says version and library; $1 is how it was built.
runs() {
  local output
  output=$("$2") || die "the consumer built with $1 failed"
  case $output in
    "$version "*"$version"*) echo "$1: $output" ;;
    *) die "the consumer built with $1 printed: $output" ;;
  esac
}

version=$(sed -n 's/^#define CHANGEFEED_VERSION "\(.*\)"$/\1/p' \
  "$CFT_BINARY_DIR/include/changefeed/version.h")
[ -n "$version" ] || die "version.h holds no version"

quietly "$cmake" --install "$CFT_BINARY_DIR" --prefix "$work/first"
mv "$work/first" "$work/moved" || exit 1
prefix=$work/moved

for file in changefeed.h mirror.h export.h version.h; do
  [ -f "$prefix/include/changefeed/$file" ] || die "$file is not installed"
done
pc=$(find "$prefix" -name changefeed.pc)
[ -f "$pc" ] || die "changefeed.pc is not installed"
libdir=${pc%/pkgconfig/changefeed.pc}

# Nothing installed may point back to where it was built.
if grep -rIlF -e "$CFT_SOURCE_DIR" -e "$work/first" "$prefix"; then
  die "these files name the directory they were built in"
fi

export PKG_CONFIG_PATH=$libdir/pkgconfig
got=$(pkg-config --modversion changefeed) || exit 1
[ "$got" = "$version" ] || die "changefeed.pc has version $got, not $version"
read -r -a pc_cflags <<<"$(pkg-config --cflags changefeed)"

build=("$cc" "${cflags[@]}" "$CFT_SOURCE_DIR/tests/build/consumer.c")

if [ -e "$libdir/libchangefeed.so" ]; then
  soname=$(objdump -p "$libdir/libchangefeed.so" |
    awk '$1 == "SONAME" { print $2 }')
  [ "$soname" = "libchangefeed.so.${version%%.*}" ] ||
    die "the soname is \"$soname\""
  [ -e "$libdir/$soname" ] || die "$soname is not installed"
  read -r -a libs <<<"$(pkg-config --libs changefeed)"
  case " ${libs[*]} " in
    *" -lcurl "*) die "pkg-config --libs names libcurl: ${libs[*]}" ;;
  esac
  quietly "${build[@]}" "${pc_cflags[@]}" "${libs[@]}" -o "$work/shared"
  LD_LIBRARY_PATH=$libdir runs pkg-config "$work/shared"
fi

if [ -e "$libdir/libchangefeed.a" ]; then
  read -r -a pc_cflags <<<"$(pkg-config --static --cflags changefeed)"
  all=" $(pkg-config --static --libs changefeed) "
  for flag in -lchangefeed -lcurl -lyajl -pthread; do
    case $all in
      *" $flag "*) ;;
      *) die "pkg-config --static --libs lacks $flag:$all" ;;
    esac
  done
  # libcurl.pc names its own private libraries, whose development files its
  # package does not bring: where they are missing, nobody can link them, and
  # the shared libcurl needs none.
  echo 'int main(void) { return 0; }' >"$work/empty.c"
  # shellcheck disable=SC2046 # a list of flags
  if ! "$cc" "$work/empty.c" -o "$work/empty" \
    $(pkg-config --static --libs libcurl yajl) 2>"$work/output"; then
    all="-L$libdir -lchangefeed $(pkg-config --libs libcurl yajl) -pthread"
  fi
  read -r -a libs <<<"${all/-lchangefeed /-l:libchangefeed.a }"
  quietly "${build[@]}" "${pc_cflags[@]}" "${libs[@]}" -o "$work/static"
  if objdump -p "$work/static" | grep -q 'NEEDED.*libchangefeed'; then
    die "the static consumer needs the shared library"
  fi
  runs "pkg-config --static" "$work/static"
fi

mkdir "$work/consumer" || exit 1
cp "$CFT_SOURCE_DIR/tests/build/consumer.c" "$work/consumer/"
cat >"$work/consumer/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.25)
project(consumer C)
find_package(changefeed 0.1 REQUIRED)
add_executable(consumer consumer.c)
target_link_libraries(consumer PRIVATE changefeed::changefeed)
if(TARGET changefeed::changefeed_static)
  add_executable(consumer_static consumer.c)
  target_link_libraries(consumer_static PRIVATE changefeed::changefeed_static)
endif()
EOF
quietly "$cmake" -S "$work/consumer" -B "$work/consumer/build" \
  -G "${CFT_GENERATOR:-Ninja}" -DCMAKE_C_COMPILER="$cc" \
  -DCMAKE_C_FLAGS="${CFT_CFLAGS:-}" -DCMAKE_PREFIX_PATH="$prefix"
quietly "$cmake" --build "$work/consumer/build"
runs find_package "$work/consumer/build/consumer"
if [ -e "$libdir/libchangefeed.a" ]; then
  runs "find_package, static" "$work/consumer/build/consumer_static"
fi

# Until 1.0 each minor version is one of its own, and CMake is told so.
for wanted in 0.0 0.2 1.0 99; do
  mkdir "$work/asks-$wanted" || exit 1
  cat >"$work/asks-$wanted/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.25)
project(consumer C)
find_package(changefeed $wanted REQUIRED)
EOF
  if "$cmake" -S "$work/asks-$wanted" -B "$work/asks-$wanted/build" \
    -G "${CFT_GENERATOR:-Ninja}" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$prefix" >"$work/output" 2>&1; then
    die "find_package(changefeed $wanted) takes version $version"
  fi
  # White space is where CMake breaks lines.
  tr -s ' \n' ' ' <"$work/output" |
    grep -qF "compatible with requested version \"$wanted\"" || {
    cat "$work/output"
    die "find_package(changefeed $wanted) fails for another reason"
  }
done

# The installed command finds the moved library by itself.
if [ -n "${CFT_CHANGEFEED:-}" ]; then
  [ -x "$prefix/bin/changefeed" ] || die "the command is not installed"
  output=$("$prefix/bin/changefeed" --version) ||
    die "changefeed --version failed"
  case $output in
    *"$version"*) echo "changefeed --version: $output" ;;
    *) die "changefeed --version printed: $output" ;;
  esac
fi
for page in "$CFT_SOURCE_DIR"/docs/man/*.[1357]; do
  [ -e "$page" ] || continue
  name=${page##*/}
  # A page of a program that stays where it is built stays there, too.
  if [[ $name == *.1 ]] && [ ! -x "$prefix/bin/${name%%[-.]*}" ]; then
    [ ! -e "$prefix/share/man/man1/$name" ] || die "$name has no program"
    continue
  fi
  [ -f "$prefix/share/man/man${name##*.}/$name" ] ||
    die "$name is not installed"
done
# Each function has a page by its own name, which leads to one that is there.
while read -r name; do
  page=$prefix/share/man/man3/$name.3
  [ -f "$page" ] || die "there is no man page $name(3)"
  target=$(sed -n '1s/^\.so //p' "$page")
  [ -z "$target" ] || grep -q "^\.Nm $name\( ,\)*$" "$prefix/share/man/$target" ||
    die "the man page $name(3) leads to $target, which does not name it"
done < <(nm -D --defined-only "$libdir/libchangefeed.so" |
  awk '{ sub(/@.*/, "", $3); print $3 }' | grep '^changefeed_')
