#!/usr/bin/env bash
# Runs a command, and once more if it fails: for tests whose peer, which is not ours,
# fails by itself at times. Both outputs are shown.
#
#   hack/again.sh COMMAND...
set -euo pipefail
"$@" && exit
echo "again.sh: failed, and is run once more: $*" >&2
exec "$@"
