#!/bin/bash
# run.sh: builds the package in two versions and the CA, and runs service-test.sh
# with them under a real systemd. That needs root, here or through sudo. Without
# either it says what is not tested, and fails where that matters, under CI=true.
set -euo pipefail
cd "$(dirname "$0")/../.."

old=0.0.1~test1
new=0.0.1~test2
out=dist/service-test

root=()
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    root=(sudo "CERTVIGIL_SYSTEMD_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/certvigil-systemd")
  else
    cat >&2 <<'MESSAGE'
########################################################################
  NOT RUN: the service test. It needs root, or sudo.
  So nobody has tested the package, the systemd units, their sandbox,
  the polkit rule, the watchdog, upgrade and purge. Run it as root:
      make service-test
########################################################################
MESSAGE
    [ "${CI:-}" != true ] || exit 1
    exit 0
  fi
fi

mkdir -p "$out"
for version in "$old" "$new"; do
  make --no-print-directory deb "VERSION=$version" "DEB=$out/certvigil_$version.deb"
done
CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$out/ca" ./packaging/test/ca

# The first version is installed before the test starts, the second by it.
"${root[@]}" packaging/test/run-in-systemd.sh "$out/certvigil_$old.deb" packaging/test/service-test.sh \
  "$out/certvigil_$new.deb" "$out/ca"
