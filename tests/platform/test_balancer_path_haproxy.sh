#!/usr/bin/env bash
# The whole way (test_balancer_path.sh) with an HAProxy in front of the drones
# for each balancer, and the database not away for long.
# ctest: TIMEOUT 170
# ctest: COST 30
set -u
if [ "${CFT_INSTRUMENTED-}" = 1 ]; then
  echo 'HAProxy serves; balancer_path has the rest'
  exit 77
fi
exec bash "$(dirname "${BASH_SOURCE[0]}")/test_balancer_path.sh" \
  --engine haproxy --away 1
