#!/bin/bash
# run-in-systemd.sh DEB TEST [FILE...]
#
# Boots a throw-away Debian 12 whose PID 1 is systemd, in pid, mount, net, uts, ipc and cgroup namespaces
# of its own with nothing but a loopback, installs DEB there with dpkg, runs TEST as root as a unit of
# that system, prints TEST's output, and exits with TEST's status. FILEs are copied next to TEST, in /test.
# Needs root. Not a jail: DEB and TEST are trusted.
#
#   CERTVIGIL_SYSTEMD_CACHE     folder for the root file systems, kept between runs
#                               (default ${XDG_CACHE_HOME:-$HOME/.cache}/certvigil-systemd)
#   CERTVIGIL_SYSTEMD_PACKAGES  packages in it, comma-separated        (default below)
#   CERTVIGIL_SYSTEMD_TIMEOUT   seconds that TEST may take             (default 600)
#   CERTVIGIL_SYSTEMD_JOURNAL   lines of the journal shown on failure  (default 80)
#
# Exit: TEST's status (1 when it ran out of time); 64 usage, 70 did not boot, 71 install failed, 77 not root.
set -euo pipefail

suite=bookworm
cache=${CERTVIGIL_SYSTEMD_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/cache}/.cache}/certvigil-systemd}
packages=${CERTVIGIL_SYSTEMD_PACKAGES:-systemd,systemd-sysv,libnss-systemd,dbus,polkitd,nginx-light,curl,ca-certificates,openssl,procps,jq}
timeout=${CERTVIGIL_SYSTEMD_TIMEOUT:-600}
journal_lines=${CERTVIGIL_SYSTEMD_JOURNAL:-80}

# Units that a system in namespaces cannot run, or that would work in the background of a test.
masked="console-getty.service getty@.service getty.target systemd-sysctl.service systemd-logind.service
  modprobe@.service systemd-timesyncd.service systemd-remount-fs.service systemd-journald-audit.socket
  apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer"

say() { echo "run-in-systemd: $*" >&2; }

# ---- inside the new namespaces: what becomes PID 1 ----

mount_root() { # ROOTFS WORK: a clean system on top of the kept one, thrown away with the namespace
  mount -t tmpfs -o mode=755 overlay "$2/mnt"
  mkdir "$2/mnt/upper" "$2/mnt/work"
  mount -t overlay -o "lowerdir=$1,upperdir=$2/mnt/upper,workdir=$2/mnt/work" overlay "$2/root"
}

settle() { # ROOT: what the first boot of a machine would fill in
  local unit
  tr -d - </proc/sys/kernel/random/uuid >"$1/etc/machine-id" # an empty one means "first boot", which enables everything
  echo testhost >"$1/etc/hostname"
  printf '127.0.0.1 localhost testhost\n::1 localhost\n' >"$1/etc/hosts"
  : >"$1/etc/resolv.conf"
  for unit in $masked; do ln -sf /dev/null "$1/etc/systemd/system/$unit"; done
}

mount_kernel() { # ROOT: /proc, /sys, and the one unified cgroup tree, whatever the host shows
  mount -t proc -o nosuid,nodev,noexec proc "$1/proc"
  mount --bind "$1/proc/sys" "$1/proc/sys"
  mount --bind "$1/proc/sys/net" "$1/proc/sys/net" # these are ours: they belong to the net namespace
  mount -o remount,bind,ro,nosuid,nodev,noexec "$1/proc/sys"
  [ ! -e "$1/proc/sysrq-trigger" ] || mount --bind /dev/null "$1/proc/sysrq-trigger"
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$1/sys"
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$1/sys/fs/cgroup"
}

mount_devices() { # ROOT
  local node name major minor
  mount -t tmpfs -o mode=755,nosuid,size=4m tmpfs "$1/dev"
  mkdir "$1/dev/pts" "$1/dev/shm" "$1/dev/mqueue"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$1/dev/pts"
  ln -s pts/ptmx "$1/dev/ptmx"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$1/dev/shm"
  for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r name major minor <<<"$node"
    mknod -m 666 "$1/dev/$name" c "$major" "$minor"
  done
  ln -s /proc/self/fd "$1/dev/fd"
  for node in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${node%:*}" "$1/dev/${node#*:}"; done
  mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$1/run"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$1/tmp"
}

become_systemd() { # ROOTFS WORK
  local root=$2/root pid
  read -r pid _ </proc/self/stat # as the host counts: /proc is still the host's
  echo "$pid" >"$2/pid"
  mount_root "$1" "$2"
  mkdir -p "$root/test"
  cp -a "$2/in/." "$root/test/"
  settle "$root"
  mount_kernel "$root"
  mount_devices "$root"
  cd "$root"
  pivot_root . .
  umount -l .
  cd /
  # Left by systemd to whoever makes the container. Without it LoadCredential= gives an empty folder.
  mount --make-rshared /
  exec env -i container=certvigil-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set -sys_module,-sys_rawio,-sys_time,-syslog,-audit_control,-mac_admin,-mac_override \
    /lib/systemd/systemd --unit=multi-user.target --show-status=no </dev/null >/dev/null 2>&1
}

if [ "${1:-}" = --become-systemd ]; then become_systemd "$2" "$3"; fi

# ---- on the host ----

[ $# -ge 2 ] || { sed -n '2,17s/^# \{0,1\}//p' "$0" >&2; exit 64; }
[ "$(id -u)" = 0 ] || { say "needs root"; exit 77; }
deb=$(realpath -e "$1")
test=$(realpath -e "$2")
shift 2
self=$(realpath "$0")
now() { date +%s%N; }
since() { echo $((($(now) - $1) / 1000000)) ms; }

build_rootfs() { # FOLDER: complete or not there at all
  [ ! -e "$1/.complete" ] || return 0
  command -v mmdebstrap >/dev/null || { say "needs mmdebstrap (apt-get install mmdebstrap)"; exit 70; }
  local began
  began=$(now)
  say "building $1, once"
  rm -rf "$1" "$1.tmp"
  # No mirror is given: mmdebstrap takes the suite's own, with updates and security.
  mmdebstrap --quiet --variant=minbase --include="$packages" \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$suite" "$1.tmp" >&2
  touch "$1.tmp/.complete"
  mv "$1.tmp" "$1"
  say "built in $(since "$began"), $(du -sm "$1" | cut -f1) MB"
}

mkdir -p "$cache"
key=$(printf '%s\n' v1 "$suite" "$packages" | sha256sum | cut -c1-12)
rootfs=$cache/$suite-$key
exec 9>"$cache/.lock"
flock 9
build_rootfs "$rootfs"
exec 9>&-

work=$(mktemp -d "${TMPDIR:-/tmp}/certvigil-systemd.XXXXXX")
mkdir "$work/in" "$work/root" "$work/mnt"
launcher='' init='' cgroup=''
# Ends what runs in our cgroup and nothing else: by the cgroup, never by a name.
cleanup() {
  local rc=$?
  trap - EXIT INT TERM HUP
  [ ! -e "$cgroup/cgroup.kill" ] || echo 1 >"$cgroup/cgroup.kill"
  if [ -n "$launcher" ]; then
    kill -KILL "$launcher" 2>/dev/null || true
    wait "$launcher" 2>/dev/null || true
  fi
  for _ in $(seq 50); do
    [ -n "$cgroup" ] && [ -d "$cgroup" ] || break
    find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || sleep 0.1
  done
  ! mountpoint -q "$work/cgroup" || umount "$work/cgroup"
  rm -rf --one-file-system "$work"
  exit "$rc"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
cp "$deb" "$test" "$@" "$work/in/"

# A cgroup below the root of the unified tree, with every controller that is free for it.
tree=$(findmnt -rnt cgroup2 -o TARGET | head -1 || true)
if [ -z "$tree" ]; then
  mkdir "$work/cgroup"
  mount -t cgroup2 cgroup2 "$work/cgroup"
  tree=$work/cgroup
fi
cgroup=$tree/certvigil-test-$$
mkdir "$cgroup"
for controller in cpu io memory pids; do # absent where the host has bound it to cgroup v1
  if grep -qw "$controller" "$tree/cgroup.controllers" && ! grep -qw "$controller" "$tree/cgroup.subtree_control"; then
    { echo "+$controller" >"$tree/cgroup.subtree_control"; } 2>/dev/null || say "cannot turn on the $controller controller"
  fi
done

# PID 1 alone joins the cgroup, since a second process there would keep systemd from turning controllers
# on below it, and only then makes the cgroup namespace, so that this is rooted there.
began=$(now)
# shellcheck disable=SC2016 # for the inner shell to expand
setpriv --pdeathsig KILL \
  unshare --pid --mount --net --uts --ipc --fork --kill-child --propagation private \
  bash -c 'echo 0 >"$1/cgroup.procs" && exec unshare --cgroup bash "$2" --become-systemd "$3" "$4"' \
  sh "$cgroup" "$self" "$rootfs" "$work" 2>"$work/err" &
launcher=$!

enter() { # SECONDS COMMAND...: runs it in the booted system
  timeout -k 5 "$1" nsenter -t "$init" -m -p -n -u -i -C -r -w -- \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "${@:2}"
}
diagnose() {
  enter 10 systemctl --failed --no-pager --no-legend || true
  enter 10 journalctl -b --no-pager -n "$journal_lines" || true
} >&2

state=''
for _ in $(seq 600); do
  kill -0 "$launcher" 2>/dev/null || { cat "$work/err" >&2; say "PID 1 died"; exit 70; }
  [ -n "$init" ] || [ ! -s "$work/pid" ] || init=$(cat "$work/pid")
  if [ -n "$init" ] && [ "$(cat "/proc/$init/comm" 2>/dev/null)" = systemd ]; then
    state=$(enter 10 systemctl is-system-running 2>/dev/null || true)
    case $state in running | degraded) break ;; esac
  fi
  sleep 0.1
done
case $state in
running) ;;
degraded) enter 10 systemctl --failed --no-pager --no-legend >&2 ;;
*)
  say "did not boot in time: state '$state'"
  [ -z "$init" ] || diagnose
  exit 70
  ;;
esac
say "booted in $(since "$began"): $state, $(enter 10 systemctl --version | head -1)"

began=$(now)
enter 120 dpkg -i "/test/${deb##*/}" >"$work/dpkg.log" 2>&1 || {
  cat "$work/dpkg.log" >&2
  say "dpkg -i failed"
  diagnose
  exit 71
}
say "installed ${deb##*/} in $(since "$began")"

began=$(now)
rc=0
enter $((timeout + 20)) systemd-run --quiet --wait --pipe --collect --unit=certvigil-service-test \
  -p WorkingDirectory=/test -p RuntimeMaxSec="$timeout" -p TimeoutStopSec=5 \
  /bin/bash "/test/${test##*/}" </dev/null || rc=$?
say "test ended with $rc after $(since "$began")"
[ "$rc" = 0 ] || diagnose
enter 5 systemctl --no-block poweroff 2>/dev/null || true # lets ExecStop= run; cleanup ends whatever is left
for _ in $(seq 30); do
  [ -d "/proc/$init" ] || break
  sleep 0.1
done
exit "$rc"
