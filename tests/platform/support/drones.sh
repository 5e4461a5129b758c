# shellcheck shell=bash disable=SC2034,SC2154
# Drones that provisioners make, for tests by bash; to be sourced behind
# provisioner.sh. They outlive their provisioner, but not the test.
#
#   drones_dir   makes their directory: options in with_drones

drone=$CFT_PLATFORM/drone
if [ ! -x "$drone" ]; then
  echo "no $drone"
  exit 77
fi
with_drones=()

drones_dir() {
  mkdir -m 0700 drones
  with_drones=(--driver local --driver-path "$drone"
    --driver-dir "$work/drones")
  # Root's drones become somebody else, who has to get at what is his.
  if [ "$(id -u)" -eq 0 ]; then
    with_drones+=(--drone-user nobody)
    chmod 0711 "$work"
  fi
}

drones_end() {
  local status=$? pids='' pid file tries=400
  # Nobody makes others meanwhile.
  for pid in "${prov_pid[@]}"; do
    kill -KILL "$pid" 2>/dev/null
  done
  for file in drones/*/pid; do
    [ -s "$file" ] && pids+=" $(cut -d' ' -f1 "$file" | head -n 1)"
  done
  for pid in $pids; do
    kill -TERM "$pid" 2>/dev/null
  done
  for pid in $pids; do
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -gt 0 ]; do
      sleep 0.05
      tries=$((tries - 1))
    done
  done
  (exit "$status")
  clean_up
}
trap drones_end EXIT
