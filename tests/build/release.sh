# shellcheck shell=bash
# The build a packager makes, in a directory that the tests of this folder
# share; to be sourced, by bash, with CFT_BINARY_DIR and CFT_SOURCE_DIR set.
#
#   release_build NAME OPTION...   $CFT_BINARY_DIR/release-NAME: configured with
#                  the OPTIONs as the preset "package" is, and built. Sets
#                  release_dir. Whoever comes first builds, others wait.

release_build() {
  local name=$1
  shift
  release_dir=$CFT_BINARY_DIR/release-$name
  mkdir -p "$release_dir" || return
  (
    flock 9 || exit
    {
      "${CFT_CMAKE:-cmake}" -S "$CFT_SOURCE_DIR" -B "$release_dir" -G Ninja \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr \
        -DCMAKE_C_COMPILER="${CC:-cc}" -DCHANGEFEED_BUILD_TESTS=OFF "$@" &&
        "${CFT_CMAKE:-cmake}" --build "$release_dir"
    } >"$release_dir/build.log" 2>&1 || {
      tail -40 "$release_dir/build.log"
      exit 1
    }
  ) 9>"$release_dir/.lock"
}
