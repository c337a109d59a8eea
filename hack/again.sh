#!/usr/bin/env bash
# Runs a command, and once more if it fails: for tests whose peers are not ours (a whole
# Kubernetes, Wine, Microsoft's guest service) and fail by themselves at times. Both
# runs are shown; what fails twice has failed.
#
#   hack/again.sh COMMAND...
set -euo pipefail
"$@" && exit
echo "again.sh: failed, and is run once more: $*" >&2
exec "$@"
