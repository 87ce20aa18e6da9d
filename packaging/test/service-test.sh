#!/bin/bash
# service-test.sh: the package under a real systemd. Runs as root in the system
# that run-in-systemd.sh boots, where the old version is installed; /test has the
# new one and the CA. It stops at the first check that fails.
set -euo pipefail
cd /test
new=$(printf '%s\n' certvigil_*.deb | sort -V | tail -1)

# ---- how a check is made ----

checks=0
began=$SECONDS
ok() {
  checks=$((checks + 1))
  printf 'ok %3d  %3ds  %s\n' "$checks" $((SECONDS - began)) "$1"
}
fail() {
  printf 'FAILED  %3ds  %s\n' $((SECONDS - began)) "$1" >&2
  { certvigil status --json | jq . || true; } >&2
  systemctl status --no-pager --lines 0 certvigil.service >&2 || true
  exit 1
}
check() { # NAME COMMAND...
  local name=$1
  shift
  "$@" >/tmp/check.out 2>&1 || { cat /tmp/check.out >&2; fail "$name"; }
  ok "$name"
}
refused() { # NAME COMMAND...: the command must fail
  local name=$1
  shift
  if "$@" >/tmp/check.out 2>&1; then fail "$name"; fi
  ok "$name"
}
denied() { # NAME COMMAND...: it must fail for want of a permission, and of nothing else
  local name=$1
  shift
  if "$@" >/tmp/check.out 2>&1; then fail "$name"; fi
  grep -qiE 'authenti|denied|permission|not act' /tmp/check.out || { cat /tmp/check.out >&2; fail "$name"; }
  ok "$name"
}
eventually() { # SECONDS NAME COMMAND...: within that time
  local limit=$((SECONDS + $1)) name=$2
  shift 2
  until "$@" >/tmp/check.out 2>&1; do
    if [ $SECONDS -ge $limit ]; then
      cat /tmp/check.out >&2
      fail "$name"
    fi
    sleep 0.2
  done
  ok "$name"
}

# ---- what is looked at ----

is() { # WANT COMMAND...: its output is that
  local want=$1 have
  shift
  have=$("$@") || true
  [ "$have" = "$want" ] || { echo "have: $have; want: $want"; return 1; }
}
property() { systemctl show --property "$1" --value "${2:-certvigil.service}"; }
pid() { property MainPID; }
mode_of() { stat -c '%A %U:%G' "$1"; }
line_of() { awk -v key="$1:" '$1 == key {print $2}' "/proc/$(pid)/status"; }
# certvigil status exits with 1 or 2 where something needs attention.
status() { certvigil status --json >/tmp/status.json || [ -s /tmp/status.json ]; jq -er "$1" /tmp/status.json; }
cert() { status ".certificates[] | select(.name == \"$1\") | $2"; }
idle() { status '.certificates | length == 0'; }
wire() { # NAME: the SHA-256 of what nginx serves, as status prints it
  openssl s_client -connect 127.0.0.1:443 -servername "$1" </dev/null 2>/dev/null |
    openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f
}
# Served, as the agent says, and the same one, as a handshake apart from it says.
served() { # CERTIFICATE NAME
  cert "$1" '.stage == "served"' && is "$(cert "$1" .fingerprint_sha256 | tr -d : | tr A-F a-f)" wire "$2"
}
# As root at a prompt: credentials are there only for a process of the service.
validate() { CREDENTIALS_DIRECTORY=/run/credentials/certvigil.service certvigil validate; }
doctor_said() { grep -qF -- "$1" <<<"$doctor"; }
version_has() { certvigil version | grep -qF -- "$1"; }
deployed() { cert "$1" '.stage == "deployed" and .hooks[0].acknowledged > 0'; }
newer() { [ "$(cert "$1" .version)" -gt "$2" ]; } # CERTIFICATE VERSION
keys() { find /var/lib/certvigil/accounts -name key.pem -exec sha256sum {} + | sort; }
serves() { is "$1" wire www.test; }
another_pid() { # PID: the service is up, and not by that process
  local now
  now=$(pid) # once: between two looks it may end
  [ "$now" != 0 ] && [ "$now" != "$1" ] && is active systemctl is-active certvigil.service
}
status_line_has() { property StatusText | grep -q -- "$1"; }
log_has() { journalctl --no-pager -o cat -u "$1" | grep -qE -- "$2"; }
as_nobody() { # GROUP COMMAND...
  setpriv --reuid nobody --regid "$1" --clear-groups --no-new-privs "${@:2}"
}
as_agent() { setpriv --reuid certvigil --regid certvigil --init-groups --no-new-privs "$@"; }
fails_saying() { # TEXT COMMAND...
  local said
  if said=$("${@:2}" 2>&1); then return 1; fi
  grep -qE -- "$1" <<<"$said" || { echo "$said"; return 1; }
}
systemd_call() { # METHOD UNIT
  busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
    org.freedesktop.systemd1.Manager "$1" ss "$2" replace
}
export -f systemd_call
ask_systemd() { as_agent bash -c 'systemd_call "$@"' sh "$@"; } # METHOD UNIT: as the agent would
inside() { nsenter -t "$(pid)" -m -- "$@"; } # in the agent's view of the file system

# ---- installed and idle ----

check "installed: enabled" is enabled systemctl is-enabled certvigil.service
eventually 10 "installed: active" is active systemctl is-active certvigil.service
check "installed: Type=notify" is notify property Type
check "installed: a STATUS line" test -n "$(property StatusText)"
check "installed: runs as certvigil" is certvigil ps -o user= -p "$(pid)"
check "installed: no capability" is 0000000000000000 line_of CapEff
check "installed: none can be gained" is 0000000000000000 line_of CapBnd
check "installed: no new privileges" is 1 line_of NoNewPrivs
check "installed: system calls are filtered" is 2 line_of Seccomp
check "installed: state directory" is 'drwxr-xr-x certvigil:certvigil' mode_of /var/lib/certvigil
check "installed: control socket" is 'srw-rw---- certvigil:certvigil' mode_of /run/certvigil/control.sock
check "installed: credentials are root's" is 'drwx------ root:root' mode_of /etc/certvigil/credentials
check "installed: the default configuration is valid" certvigil validate
eventually 10 "installed: status answers, nothing is guarded" idle
check "installed: port 80 is left to nginx" is disabled systemctl is-enabled certvigil-http.socket
check "installed: nginx has port 80" curl -fsS -o /dev/null http://127.0.0.1/
refused "sandbox: /etc is read-only for it" inside touch /etc/certvigil/x
refused "sandbox: so is /usr" inside touch /usr/x
check "sandbox: there is something in /root" test -e /root/.profile
refused "sandbox: /root is not to be seen" inside test -e /root/.profile
check "sandbox: its state is not read-only" inside touch /var/lib/certvigil
check "check: the timer is enabled" is enabled systemctl is-enabled certvigil-check.timer
check "check: the timer is active" is active systemctl is-active certvigil-check.timer
check "check: an idle agent passes" systemctl start certvigil-check.service
check "check: its line is in the journal" log_has certvigil-check.service 'CERTVIGIL OK - no certificate is configured'
check "nothing of the system has failed" is '' systemctl --failed --no-legend
# From here on looks are made by hand: the agent is put through much.
systemctl stop certvigil-check.timer

# ---- a host with nginx, a CA, and a configuration ----

printf '127.0.0.1 www.test api.test\n' >>/etc/hosts
eab_key=$(openssl rand -base64 32 | tr '+/' '-_' | tr -d =)
printf 'kid-1:%s\n' "$eab_key" >/tmp/eab
systemd-run --quiet --unit=ca /test/ca -roots /etc/ssl/ca-roots.pem -dns /tmp/ca-dns -validity 60s -eab /tmp/eab
eventually 10 "the CA answers" curl -fsS --cacert /etc/ssl/ca-roots.pem -o /dev/null https://127.0.0.1:14000/dir

# An administrator who enables the socket although nginx has the port: that is a
# failed socket, and a service that works all the same.
systemctl enable --quiet certvigil-http.socket
check "port 80 taken: the service starts" systemctl restart certvigil.service
check "port 80 taken: without the socket" is failed systemctl is-failed certvigil-http.socket
systemctl disable --quiet certvigil-http.socket
systemctl reset-failed certvigil-http.socket

# nginx serves some certificate already, as it would on the day of the move.
rm /etc/nginx/sites-enabled/default
install -d -o certvigil -g certvigil -m 755 /etc/nginx/tls
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=www.test \
  -addext subjectAltName=DNS:www.test -keyout /etc/nginx/tls/www.key -out /etc/nginx/tls/www.crt 2>/dev/null
chown certvigil:certvigil /etc/nginx/tls/www.*
site() { # NAME CERTIFICATE KEY
  printf 'server {\n  listen 443 ssl;\n  server_name %s;\n  ssl_certificate %s;\n  ssl_certificate_key %s;\n}\n' "$@"
}
site www.test /etc/nginx/tls/www.crt /etc/nginx/tls/www.key >/etc/nginx/conf.d/www.conf
systemctl restart nginx.service

# What an administrator writes: a secret, and the drop-in that the comment in
# the unit describes.
printf '%s\n' "$eab_key" >/etc/certvigil/credentials/eab
chmod 600 /etc/certvigil/credentials/eab
mkdir -p /etc/systemd/system/certvigil.service.d
cat >/etc/systemd/system/certvigil.service.d/local.conf <<'END'
[Service]
ReadWritePaths=-/etc/nginx/tls
SupplementaryGroups=www-data systemd-journal
LoadCredential=eab:/etc/certvigil/credentials/eab
END
systemctl daemon-reload
refused "port 80: not while the service runs" systemctl start certvigil-http.socket
# As the comment in the socket unit says: enable, then restart.
systemctl enable --quiet certvigil-http.socket
systemctl restart certvigil.service
check "port 80: the socket is up" is active systemctl is-active certvigil-http.socket
check "port 80: so is the service" is active systemctl is-active certvigil.service
check "sandbox: the drop-in opens its folder" inside touch /etc/nginx/tls

cat >/etc/certvigil/certvigil.hcl <<'END'
issuer "pebble" {
  directory   = "https://127.0.0.1:14000/dir"
  contact     = ["ops@www.test"]
  agree_terms = true
  trust_roots = "/etc/ssl/ca-roots.pem"
  eab {
    key_id   = "kid-1"
    hmac_key = credential("eab")
  }
}

solver "http" "main" {}

hook "nginx" {
  test   { unit = "certvigil-nginx-test.service" }
  reload { unit = "nginx.service" }
}

certificate "www" {
  names = ["www.test"]
  hooks = [hook.nginx]
  install "pem" {
    fullchain = "/etc/nginx/tls/www.crt"
    key       = "/etc/nginx/tls/www.key"
    group     = "www-data"
    mode      = "0640"
  }
  endpoint "127.0.0.1:443" {}
}
END
# This system has no DNS but the CA's.
printf 'agent {\n  resolver = "%s"\n}\n' "$(cat /tmp/ca-dns)" >>/etc/certvigil/certvigil.hcl

# ---- the closed loop ----

before=$(pid)
check "loop: validate" validate
check "loop: systemctl reload" systemctl reload certvigil.service
eventually 60 "loop: issued by way of port 80, nginx reloaded, served" served www www.test
check "loop: by the same process" is "$before" pid
check "loop: nginx was tested by its unit" log_has certvigil-nginx-test.service 'Finished|Deactivated successfully'
check "loop: nginx was reloaded by its unit" log_has nginx.service 'Reloaded'
check "loop: the key is for nginx's group" is '-rw-r----- certvigil:www-data' mode_of /etc/nginx/tls/www.key
check "loop: the key of the state is for nobody else" \
  is '-rw------- certvigil:certvigil' mode_of "$(readlink -f /var/lib/certvigil/live/www/privkey.pem)"
eventually 10 "loop: the STATUS line counts it" status_line_has 1
# As the service's user, in its sandbox, with systemd's socket and its units.
check "doctor: nothing would stop a renewal" certvigil doctor
chmod 0500 /etc/nginx/tls
doctor=$(certvigil doctor || true)
chmod 0755 /etc/nginx/tls
check "doctor: a folder that the service may not write to" doctor_said 'path-unwritable: /etc/nginx/tls'

# A second one, from conf.d, used by nginx where it lies: root reads its key.
cat >/etc/certvigil/conf.d/api.hcl <<'END'
certificate "api" {
  names = ["api.test"]
  hooks = [hook.nginx]
  endpoint "127.0.0.1:443" {}
}
END
systemctl reload certvigil.service
eventually 60 "conf.d: issued" test -s /var/lib/certvigil/live/api/fullchain.pem
site api.test /var/lib/certvigil/live/api/fullchain.pem /var/lib/certvigil/live/api/privkey.pem >/etc/nginx/conf.d/api.conf
systemctl reload nginx.service
eventually 90 "conf.d: served from the state directory" served api api.test

# ---- a look from outside ----

eventually 20 "check: two certificates pass" systemctl start certvigil-check.service
check "check: and are counted" log_has certvigil-check.service 'CERTVIGIL OK - 2 certificates.* endpoints=2;;;0 not_served=0;'
systemctl stop certvigil.service
refused "check: fails without an agent" systemctl start certvigil-check.service
check "check: it has failed" is failed systemctl is-failed certvigil-check.service
check "check: and says why" log_has certvigil-check.service 'CERTVIGIL WARNING - no agent is running'
check "check: root at a prompt is told so too, without the service's secrets" \
  fails_saying 'no agent is running' certvigil check --timeout 1s
check "check: nobody else may look" \
  fails_saying "CERTVIGIL UNKNOWN.*the agent's user" as_nobody nogroup certvigil check --timeout 1s
systemctl start certvigil.service
eventually 60 "check: passes again" systemctl start certvigil-check.service
check "check: nothing has failed any more" is '' systemctl --failed --no-legend
before=$(pid)

# A hook that is a program runs inside the sandbox. It looks up a name, which the C
# library likes to do with netlink, and nobody proves this certificate.
cat >/etc/certvigil/conf.d/tool.hcl <<'END'
hook "tool" {
  test = ["/bin/sh", "-c", "test -s \"$CERTVIGIL_KEY\" && test $(id -un) = certvigil"]
  reload { command = ["curl", "-fsSk", "-o", "/dev/null", "--connect-timeout", "5", "http://www.test:14001/"] }
}
certificate "tool" {
  names = ["tool.test"]
  hooks = [hook.tool]
}
END
printf 'events {}\nhttp { server { listen 127.0.0.1:14001; } }\n' >/tmp/web.conf
systemd-run --quiet --unit=web --working-directory=/usr/share/nginx/html \
  /usr/sbin/nginx -g 'daemon off; pid /run/web.pid;' -c /tmp/web.conf
systemctl reload certvigil.service
eventually 60 "program hook: works in the sandbox" deployed tool
rm /etc/certvigil/conf.d/tool.hcl
systemctl reload certvigil.service
systemctl stop web.service

# ---- a broken edit ----

cp /etc/certvigil/certvigil.hcl /tmp/good.hcl
echo 'certificate "broken" {' >>/etc/certvigil/certvigil.hcl
refused "broken edit: validate" validate
systemctl reload certvigil.service
eventually 15 "broken edit: status shows the error" status '.config.error != null'
check "broken edit: the service is active" is active systemctl is-active certvigil.service
check "broken edit: by the same process" is "$before" pid
check "broken edit: what ran still runs" status '.certificates | length == 2'
cp /tmp/good.hcl /etc/certvigil/certvigil.hcl
systemctl reload certvigil.service
eventually 15 "broken edit: mended" status '.config.error == null'

# ---- again and again ----

version=$(cert www .version)
eventually 90 "renewal: a later version" newer www "$version"
eventually 60 "renewal: served" served www www.test

# ---- crashes ----

account=$(keys)
before=$(pid)
kill -KILL "$before"
eventually 30 "kill -9: started again" another_pid "$before"
check "kill -9: the socket stayed" is active systemctl is-active certvigil-http.socket
eventually 60 "kill -9: served" served www www.test
check "kill -9: the same accounts" is "$account" keys

printf '[Service]\nWatchdogSec=5s\n' >/etc/systemd/system/certvigil.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart certvigil.service
before=$(pid)
sleep 12 # more than twice the time limit, with nothing wrong: the lap must have told systemd
check "watchdog: quiet while the lap goes round" is "$before" pid
kill -STOP "$before"
eventually 40 "watchdog: a stuck one is killed and started again" another_pid "$before"
check "watchdog: and systemd says why" log_has certvigil.service "result 'watchdog'"
eventually 60 "watchdog: served" served www www.test
check "watchdog: the same accounts" is "$account" keys
rm /etc/systemd/system/certvigil.service.d/watchdog.conf
systemctl daemon-reload

# An unusable configuration at the start: tried again, slowly, until it is usable.
echo 'certificate "broken" {' >>/etc/certvigil/certvigil.hcl
systemctl restart certvigil.service || true
check "unusable configuration: exit code 3" is 3 property ExecMainStatus
restarts=$(property NRestarts)
sleep 12
check "unusable configuration: not spinning" test $(($(property NRestarts) - restarts)) -le 3
cp /tmp/good.hcl /etc/certvigil/certvigil.hcl
eventually 20 "unusable configuration: heals by itself" is active systemctl is-active certvigil.service
eventually 60 "unusable configuration: served" served www www.test

# ---- what the agent may not do ----

check "polkit: reload nginx" ask_systemd ReloadUnit nginx.service
check "polkit: start the test" ask_systemd StartUnit certvigil-nginx-test.service
denied "polkit: not restart nginx" ask_systemd RestartUnit nginx.service
denied "polkit: not reload-or-restart nginx" ask_systemd ReloadOrRestartUnit nginx.service
denied "polkit: not stop nginx" ask_systemd StopUnit nginx.service
denied "polkit: not start nginx" ask_systemd StartUnit nginx.service
denied "polkit: not reload another unit" ask_systemd ReloadUnit dbus.service
denied "polkit: not start another unit" ask_systemd StartUnit systemd-tmpfiles-clean.service
denied "polkit: nobody else reloads nginx" as_nobody nogroup bash -c 'systemd_call "$@"' sh ReloadUnit nginx.service
control=/run/certvigil/control.sock
check "control socket: the group may read" as_nobody certvigil certvigil --socket "$control" status
denied "control socket: the group may not act" as_nobody certvigil certvigil --socket "$control" renew www
denied "control socket: nobody else connects" as_nobody nogroup certvigil --socket "$control" status
version=$(cert www .version)
check "control socket: root may act" certvigil --socket "$control" renew --force www
eventually 20 "control socket: and it is done" newer www "$version"

# A configuration that nginx refuses: the test unit says so, and nginx serves on.
echo 'nonsense;' >/etc/nginx/conf.d/broken.conf
refused "nginx test: fails on a broken configuration" systemctl start certvigil-nginx-test.service
rm /etc/nginx/conf.d/broken.conf
check "nginx test: passes without it" systemctl start certvigil-nginx-test.service
systemctl stop nginx.service
check "nginx test: passes where nginx does not run" systemctl start certvigil-nginx-test.service
systemctl start nginx.service

# ---- a unit that does not reload says why ----

failed_saying() { cert "$1" .failure.message | grep -qF -- "$2"; } # CERTIFICATE TEXT
mkdir -p /etc/systemd/system/nginx.service.d
cat >/etc/systemd/system/nginx.service.d/broken.conf <<'END'
[Service]
ExecReload=
ExecReload=/bin/sh -c 'echo the workers are on strike >&2; exit 7'
END
systemctl daemon-reload
eventually 90 "failed reload: the unit's own words" failed_saying www 'the workers are on strike'
check "failed reload: the job's result" failed_saying www 'could not reload nginx.service (job result "failed")'
check "failed reload: the unit's state" failed_saying www 'ActiveState=active, SubState=running'
rm /etc/systemd/system/nginx.service.d/broken.conf
systemctl daemon-reload
eventually 60 "failed reload: mended, and served" served www www.test
systemctl stop nginx.service
eventually 90 "stopped server: says so" failed_saying www 'nginx.service, which does not run (ActiveState=inactive, SubState=dead'
check "stopped server: it was not started" is inactive systemctl is-active nginx.service
systemctl start nginx.service
eventually 60 "stopped server: started, and served" served www www.test

# One that can only be restarted, which is for who asks for it.
printf '[Service]\nExecStart=/bin/sleep infinity\n' >/etc/systemd/system/db.service
systemctl daemon-reload
systemctl start db.service
db_hook() { # MORE
  cat >/etc/certvigil/conf.d/db.hcl <<END
hook "db" {
  reload {
    unit = "db.service"
    $1
  }
}
certificate "db" {
  names = ["db.test"]
  hooks = [hook.db]
}
END
  systemctl reload certvigil.service
}
db_pid=$(property MainPID db.service)
db_hook ''
eventually 60 "restart: not unless asked for" failed_saying db 'has no ExecReload='
check "restart: nothing was restarted" is "$db_pid" property MainPID db.service
db_hook 'try_restart = true'
eventually 60 "restart: polkit has to allow it" failed_saying db 'verb "reload-or-try-restart" and unit "db.service"'
cat >/etc/polkit-1/rules.d/49-certvigil-local.rules <<'END'
polkit.addRule(function (action, subject) {
    if (action.id === "org.freedesktop.systemd1.manage-units" && subject.user === "certvigil" &&
        action.lookup("unit") === "db.service" && action.lookup("verb") === "reload-or-try-restart") {
        return polkit.Result.YES;
    }
});
END
eventually 90 "restart: done" deployed db
refused "restart: by another process" is "$db_pid" property MainPID db.service
rm /etc/certvigil/conf.d/db.hcl /etc/polkit-1/rules.d/49-certvigil-local.rules
systemctl reload certvigil.service
systemctl stop db.service

# ---- upgrade ----

eventually 60 "upgrade: served before" served www www.test
socket_since=$(property ActiveEnterTimestampMonotonic certvigil-http.socket)
before=$(pid)
check "upgrade: dpkg -i" dpkg -i "$new"
check "upgrade: another process" another_pid "$before"
check "upgrade: the timer is active" is active systemctl is-active certvigil-check.timer
systemctl stop certvigil-check.timer
check "upgrade: of the new version" version_has "$(dpkg-deb -f "$new" Version)"
check "upgrade: the agent says so too" is "$(dpkg-deb -f "$new" Version)" status .version
check "upgrade: the configuration is the administrator's" cmp /tmp/good.hcl /etc/certvigil/certvigil.hcl
check "upgrade: the same accounts" is "$account" keys
check "upgrade: the socket was never closed" is "$socket_since" property ActiveEnterTimestampMonotonic certvigil-http.socket
eventually 60 "upgrade: served" served www www.test
version=$(cert www .version)
eventually 90 "upgrade: renews" newer www "$version"

# ---- no secret in the journal ----

journalctl --no-pager -o cat >/tmp/journal
refused "journal: no private key" grep -F 'PRIVATE KEY' /tmp/journal
find /var/lib/certvigil '(' -name privkey.pem -o -name key.pem ')' -exec sed -n 2p {} ';' >/tmp/key-lines
check "journal: there are keys to look for" test -s /tmp/key-lines
refused "journal: no line of one" grep -F -f /tmp/key-lines /tmp/journal
refused "journal: no credential" grep -F -e "$eab_key" /tmp/journal

# ---- stop, remove, purge ----

stop_began=$SECONDS
systemctl stop certvigil-http.socket certvigil.service
check "stop: within 7 s" test $((SECONDS - stop_began)) -le 7
check "stop: cleanly" is success property Result
systemctl start certvigil-http.socket certvigil.service

# A look that has failed must not be told of when there is nothing to look at.
systemctl start certvigil-check.timer
systemctl start certvigil-check.service || true # the first, where the timer has begun one
systemctl stop certvigil.service
refused "remove: a check fails" systemctl start certvigil-check.service
check "remove: dpkg -r" dpkg -r certvigil
refused "remove: the timer runs no more" systemctl is-active certvigil-check.timer
check "remove: nothing is left that failed" is '' systemctl --failed --no-legend
refused "remove: nothing runs" pgrep -u certvigil
refused "remove: no binary" test -e /usr/bin/certvigil
refused "remove: no unit can be started" systemctl start certvigil.service
check "remove: the configuration stays" cmp /tmp/good.hcl /etc/certvigil/certvigil.hcl
check "remove: so does what nginx reads" test -s /var/lib/certvigil/live/api/privkey.pem
check "remove: nginx serves on" systemctl reload nginx.service

check "install again: dpkg -i" dpkg -i "$new"
check "install again: the timer is active" is active systemctl is-active certvigil-check.timer
systemctl start certvigil-http.socket || true
eventually 15 "install again: active" is active systemctl is-active certvigil.service
check "install again: the same accounts" is "$account" keys
eventually 60 "install again: served" served www www.test

check "purge: dpkg -P" dpkg -P certvigil
refused "purge: no state" test -e /var/lib/certvigil
refused "purge: no configuration" test -e /etc/certvigil
refused "purge: nothing runs" pgrep -u certvigil
check "purge: the user stays" getent passwd certvigil
check "purge: nothing of systemd's is left" is '' find /etc/systemd/system -name 'certvigil*' -not -name '*.d' -not -path '*.d/*'
check "nothing of the system has failed" is '' systemctl --failed --no-legend
echo "$checks checks"
