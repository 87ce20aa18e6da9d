#!/bin/sh
# deps.sh COMMAND...: sees to it that these programs are here, before make needs
# them. What is missing is installed with apt-get, as root or through sudo; what
# is there is left alone. No server is started or enabled by it. Go is never
# installed: it has to be put there by hand.
set -eu

go_wanted=1.26

say() { echo "deps: $*" >&2; }

check_go() {
	if command -v go >/dev/null; then
		have=$(go env GOVERSION) # go1.26.8
		minor=${have#go1.}
		minor=${minor%%[!0-9]*}
		[ "${minor:-0}" -lt "${go_wanted#1.}" ] || return 0
		say "go $go_wanted or later is needed, and $(command -v go) is $have"
	else
		say "go $go_wanted or later is needed, and no go is in PATH"
	fi
	say "get it from https://go.dev/dl/, unpack it to /usr/local, and put /usr/local/go/bin into PATH"
	exit 1
}

package_of() { # COMMAND: the Debian package that brings it
	case $1 in
	gcc) echo gcc libc6-dev ;;
	unshare | setpriv | nsenter) echo util-linux ;;
	systemd-analyze) echo systemd ;;
	nginx | haproxy | wrk | mmdebstrap | shellcheck | git | openssl | postfix | slapd | vsftpd | prosody) echo "$1" ;;
	imap-login | pop3-login | lmtp | managesieve-login) # of Dovecot
		name=${1%-login}
		echo "dovecot-${name}d"
		;;
	apache2) echo apache2-bin ;; # without the service and its configuration
	postgres) echo postgresql ;;
	mariadbd) echo mariadb-server-core ;;
	*)
		say "no package is known for $1"
		exit 64
		;;
	esac
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		say "root is needed for: $*"
		exit 1
	fi
}

# While packages are installed, this makes Debian start no service of theirs.
# Whatever stood there before is put back, however this script ends.
policy=/usr/sbin/policy-rc.d
held=no
hold_services() {
	# One of ours is what a run that was killed left behind.
	if [ -e $policy ] && ! grep -q certvigil $policy; then
		as_root mv $policy $policy.before-certvigil
	fi
	held=yes
	printf '#!/bin/sh\n# put here by certvigil while it installs packages\nexit 101\n' | as_root tee $policy >/dev/null
	as_root chmod 755 $policy
}
release_services() {
	[ $held = yes ] || return 0
	held=no
	as_root rm -f $policy
	[ ! -e $policy.before-certvigil ] || as_root mv $policy.before-certvigil $policy
}

install_packages() {
	say "installing with apt-get: $*"
	trap release_services EXIT
	trap 'exit 130' INT TERM HUP
	hold_services
	as_root apt-get -o DPkg::Lock::Timeout=120 update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -qq -y --no-install-recommends "$@" >/dev/null
	release_services
	for package; do
		case $package in
		dovecot-*) unit=dovecot ;;
		nginx | haproxy | postfix | postgresql | slapd | vsftpd | prosody) unit=$package ;;
		*) continue ;;
		esac
		as_root systemctl disable "$unit.service" >/dev/null 2>&1 || true
		say "$package is installed for the tests; its service was not started, and does not start at boot"
	done
}

check_go
# Servers are where the PATH of a user does not lead.
PATH=$PATH:/usr/sbin:/sbin:/usr/lib/dovecot
for dir in /usr/lib/postgresql/*/bin; do
	PATH=$PATH:$dir
done
missing=
for command; do
	# shellcheck disable=SC2046 # several packages are several words
	command -v "$command" >/dev/null || missing="$missing $(package_of "$command")"
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null || {
	say "install these by hand, this system has no apt-get:$missing"
	exit 1
}
# shellcheck disable=SC2086 # a list of words
install_packages $missing
