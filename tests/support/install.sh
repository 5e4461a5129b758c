# What tests/run.sh and examples/demo.sh both need on a machine: Debian packages
# and the node modules of the test database, installed only when missing. To be
# sourced by bash. The caller defines say and die, and sets log, a file that
# takes what the installers say.

has_package() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

node_is_new_enough() {
  node -e 'process.exit(parseInt(process.versions.node, 10) >= 18 ? 0 : 1)' \
    >/dev/null 2>&1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
    apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

# Prints those of the packages that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    has_package "$package" || printf '%s\n' "$package"
  done
}

# What the library is built with; any flavour of pkg-config and libcurl will do.
missing_build_packages() {
  missing_packages gcc libc6-dev cmake ninja-build libyajl-dev
  command -v pkg-config >/dev/null 2>&1 || printf 'pkg-config\n'
  has_package libcurl4-openssl-dev || has_package libcurl4-gnutls-dev ||
    has_package libcurl4-nss-dev || printf 'libcurl4-openssl-dev\n'
}

missing_node() {
  node_is_new_enough || printf 'nodejs\n'
}

missing_npm() {
  command -v npm >/dev/null 2>&1 || printf 'npm\n'
  missing_packages ca-certificates
}

# Installs packages. The lists on the machine may be missing or old: they are
# fetched when the first try fails.
install_packages() {
  local try
  [ "$#" -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
    die "neither root nor sudo, and these packages are missing: $*"
  fi
  say "installing $*"
  for try in 1 2 3 4; do
    if apt_get install -y --no-install-recommends "$@" >"$log" 2>&1; then
      hash -r
      return 0
    fi
    [ "$try" -eq 4 ] && break
    [ "$try" -eq 1 ] || sleep $((try * 5))
    apt_get update >>"$log" 2>&1
  done
  cat "$log"
  die "apt-get could not install $*"
}

# install_node_modules DIRECTORY COMMAND...: `COMMAND... npm ci` in it. The stamp
# says what was installed from: npm begins by removing everything, so it is not
# run for nothing.
install_node_modules() {
  local directory=$1 stamp=$1/node_modules/.installed-from try wanted
  shift
  node_is_new_enough ||
    die "node >= 18 is needed; $(command -v node || echo none) is" \
      "$(node --version 2>&1)"
  wanted="$(sha256sum <"$directory/package-lock.json") $(node --version)"
  [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
  say "installing the test database's node modules"
  for try in 1 2 3 4; do
    if "$@" npm ci --prefix "$directory" --prefer-offline --no-audit \
      --no-fund --loglevel=error; then
      printf '%s\n' "$wanted" >"$stamp"
      return 0
    fi
    [ "$try" -eq 4 ] || sleep $((try * 5))
  done
  die "npm ci in $directory"
}
