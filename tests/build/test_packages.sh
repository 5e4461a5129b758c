#!/usr/bin/env bash
# The Debian packages: made, their contents and dependencies as expected,
# installed into a root that is thrown away, used from there (the command, a
# program built with one line), and removed without leaving anything. Nothing of
# the machine is changed.
#
#   ctest: TIMEOUT 300
# ctest: COST 45
set -u
: "${CFT_SOURCE_DIR:?}" "${CFT_BINARY_DIR:?}"
export LC_ALL=C

if [ "${CFT_INSTRUMENTED:-0}" = 1 ]; then
  echo "no sanitizer sees more of a package"
  exit 77
fi
for tool in dpkg dpkg-deb dpkg-shlibdeps file; do
  command -v "$tool" >/dev/null 2>&1 && continue
  echo "no $tool: this is no Debian, or dpkg-dev or file is missing"
  exit 77
done
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v fakeroot >/dev/null 2>&1 || {
    echo "neither root nor fakeroot"
    exit 77
  }
  as_root=(fakeroot)
fi
work=$(mktemp -d "$CFT_BINARY_DIR/packages.XXXXXX") || exit 1
# shellcheck source=tests/support/db.sh
. "$CFT_SOURCE_DIR/tests/support/db.sh"
clean_up() {
  local status=$?
  [ -z "${COUCHDB_URL-}" ] || db_ask DELETE "/$database" >/dev/null
  db_stop
  rm -rf "$work"
  return "$status"
}
database=cft-packages-$$
trap clean_up EXIT

die() {
  echo "$*"
  exit 1
}

quietly() {
  "$@" >"$work/output" 2>&1 || {
    cat "$work/output"
    die "FAILED: $*"
  }
}

# ---- made -------------------------------------------------------------------

# shellcheck source=tests/build/release.sh
. "$CFT_SOURCE_DIR/tests/build/release.sh"
release_build package || exit 1
cpack=$(command -v "${CFT_CMAKE%cmake}cpack" || command -v cpack) || exit 1
quietly "$cpack" --config "$release_dir/CPackConfig.cmake" -G DEB \
  -B "$work/cpack" -D CPACK_PACKAGE_DIRECTORY="$work/cpack"

version=$(sed -n 's/^#define CHANGEFEED_VERSION "\(.*\)"$/\1/p' \
  "$release_dir/include/changefeed/version.h")
libdir=$(sed -n 's/^CMAKE_INSTALL_LIBDIR:PATH=lib\///p' \
  "$release_dir/CMakeCache.txt")
[ -n "$version" ] && [ -n "$libdir" ] || die "no version or no libdir"

packages=(libchangefeed0 libchangefeed-dev changefeed libchangefeed-doc)
debs=()
for package in "${packages[@]}"; do
  files=("$work/cpack/${package}_$version-1_"*.deb)
  [ -f "${files[0]}" ] && [ "${#files[@]}" -eq 1 ] ||
    die "no package, or more than one: ${files[*]}"
  debs+=("${files[0]}")
done
set -- "$work"/cpack/*.deb
[ "$#" -eq "${#packages[@]}" ] || die "there are other packages: $*"

# ---- what is in them --------------------------------------------------------

# FIELD PACKAGE: a field of its control file.
field() {
  dpkg-deb -f "$work/cpack/$2_$version-1_"*.deb "$1"
}

for i in "${!packages[@]}"; do
  package=${packages[i]}
  dpkg-deb --fsys-tarfile "${debs[i]}" | tar -t |
    sed -n 's/^\.\///; /[^/]$/p' >"$work/files" || exit 1
  mapfile -t patterns < <(sed -n "s/^$package  *//p" \
    "$CFT_SOURCE_DIR/tests/build/packages.txt" |
    sed "s/LIBDIR/$libdir/; s/VERSION/$version/")
  used=()
  while IFS= read -r file; do
    for n in "${!patterns[@]}"; do
      # shellcheck disable=SC2053 # they are patterns
      [[ $file == ${patterns[n]%\?} ]] && used[n]=1 && continue 2
    done
    die "$package holds $file, which packages.txt does not know"
  done <"$work/files"
  for n in "${!patterns[@]}"; do
    [ -n "${used[n]-}" ] || [[ ${patterns[n]} == *\? ]] ||
      die "$package holds no ${patterns[n]}"
  done
  echo "$package: $(wc -l <"$work/files") files"
  [[ $(field Description "$package") == *$'\n '* ]] ||
    die "$package has no long description"
done

# PACKAGE NEEDED...: its Depends names them.
needs() {
  local package=$1 depends needed
  depends=$(field Depends "$package")
  shift
  for needed in "$@"; do
    [[ ", $depends," == *", $needed"* ]] ||
      die "$package does not depend on $needed: $depends"
  done
}
needs libchangefeed0 'libc6 (>=' 'libcurl4 (>= 7.85)' 'libyajl2 (>='
needs libchangefeed-dev "libchangefeed0 (= $version-1)," \
  'libcurl4-openssl-dev (>= 7.85) | libcurl-dev,' 'libyajl-dev (>='
needs changefeed "libchangefeed0 (= $version-1)," 'libc6 (>='
[ -z "$(field Depends libchangefeed-doc)" ] || die "documents depend on something"
[ "$(field Architecture libchangefeed-doc)" = all ] ||
  die "libchangefeed-doc is for one architecture"
[ "$(dpkg-deb -I "${debs[0]}" shlibs)" = \
  "libchangefeed 0 libchangefeed0 (>= $version-1)" ] ||
  die "shlibs says: $(dpkg-deb -I "${debs[0]}" shlibs)"

# ---- installed, in a root of its own ----------------------------------------

root=$work/root
mkdir -p "$root"/var/lib/dpkg/{info,updates,triggers} || exit 1
: >"$root/var/lib/dpkg/status"
# What they depend on is the machine's, so dpkg is told to do without. Machines
# that leave documents out must not do so here.
in_root() {
  quietly "${as_root[@]}" dpkg --root="$root" --log=/dev/null \
    --force-not-root --force-depends --force-script-chrootless \
    --path-include='/usr/share/*' "$@"
}
in_root --install "${debs[@]}"
for package in "${packages[@]}"; do
  status=$(dpkg-query --admindir="$root/var/lib/dpkg" -W \
    -f '${db:Status-Status}' "$package")
  [ "$status" = installed ] || die "$package is \"$status\""
  gzip -t "$root/usr/share/doc/$package/changelog.gz" || exit 1
  grep -q '^License: Expat' "$root/usr/share/doc/$package/copyright" ||
    die "$package names no licence"
done

command=$root/usr/bin/changefeed
export LD_LIBRARY_PATH=$root/usr/lib/$libdir
objdump -p "$command" | grep -qE 'R(UN)?PATH' &&
  die "the command looks for libraries in a place of its own"
said=$("$command" --version) || die "changefeed --version failed"
[[ $said == *"$version"* ]] || die "changefeed --version says: $said"
ldd "$command" | grep -q "=> $root/usr/lib/$libdir/libchangefeed.so.0 " ||
  die "the command does not use the library beside it"
db_start --memory && db_create "$database" && db_fill "$database" 1 20 || exit 1
rows=$("$command" --once --format=tsv "$DB_URL/$database" | wc -l)
[ "$rows" -eq 20 ] || die "the command printed $rows rows, not 20"

# The completion, as bash-completion would load it.
replies=$(
  PATH=$root/usr/bin:$PATH
  # shellcheck disable=SC1091 # it is installed
  . "$root/usr/share/bash-completion/completions/changefeed"
  COMP_WORDS=(changefeed --sin) COMP_CWORD=1
  _changefeed changefeed --sin changefeed
  echo "${COMPREPLY[*]}"
)
[ "$replies" = --since ] || die "--sin is completed to \"$replies\""

# One line, in an empty directory.
example=$root/usr/share/doc/libchangefeed-doc/examples/minimal.c
mkdir "$work/empty" && cd "$work/empty" || exit 1
export PKG_CONFIG_PATH=$root/usr/lib/$libdir/pkgconfig
# With the root named, as for a root of another machine, and without.
for sysroot in "$root" ""; do
  export PKG_CONFIG_SYSROOT_DIR=$sysroot
  [ -n "$sysroot" ] || unset PKG_CONFIG_SYSROOT_DIR
  # shellcheck disable=SC2046 # a list of flags
  quietly "${CC:-cc}" "$example" \
    $(pkg-config --cflags --libs changefeed) -o minimal
  quietly ldd -r ./minimal
  grep -q "=> $root/usr/lib/$libdir/libchangefeed.so.0 " "$work/output" ||
    die "the example is not linked with the installed library"
  ./minimal "$DB_URL/$database" >rows &
  example_pid=$!
  for ((i = 0; i < 300; i++)); do
    [ "$(wc -l <rows)" -ge 20 ] && break
    sleep 0.1
  done
  kill "$example_pid"
  wait "$example_pid" 2>/dev/null
  [ "$(wc -l <rows)" -eq 20 ] || die "the example printed $(wc -l <rows) rows"
  rm minimal rows
done
# And the others that need nothing else.
for name in pull resume many threads fork epoll mirror; do
  # shellcheck disable=SC2046 # a list of flags
  quietly "${CC:-cc}" "${example%/*}/$name.c" \
    $(pkg-config --cflags --libs changefeed) -o "$name"
done
cd / || exit 1

# ---- removed ----------------------------------------------------------------

in_root --purge "${packages[@]}"
left=$(cd "$root" && find . -mindepth 1 -path ./var/lib/dpkg -prune -o \
  ! -path ./var ! -path ./var/lib -print)
[ -z "$left" ] || die "left behind: $left"
installed=$(dpkg-query --admindir="$root/var/lib/dpkg" -W 2>/dev/null)
[ -z "$installed" ] || die "still known: $installed"
echo "installed, used and removed: ${packages[*]}"
