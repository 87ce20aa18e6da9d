# Installs nginx from the distribution without letting the package start it: the
# demonstration runs an nginx of its own. /usr/sbin/policy-rc.d is asked by
# invoke-rc.d whether a service may be started (101: no). What was there before
# is put back however this script ends.
set -eu
policy=/usr/sbin/policy-rc.d
saved=
restore() {
    rm -f "$policy"
    [ -z "$saved" ] || mv "$saved" "$policy"
}
trap restore EXIT
trap 'exit 130' INT TERM HUP
if [ -e "$policy" ]; then
    saved=$(mktemp "$policy.XXXXXX")
    cp -p "$policy" "$saved"
fi
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends nginx ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx; }
