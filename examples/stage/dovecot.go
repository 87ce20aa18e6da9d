package stage

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"syscall"
)

// The part of Dovecot's configuration that 2.4 (Debian 13) has other words for.
// Both name a pair that Debian's package makes, too.
const (
	dovecot23 = `
ssl_cert = <$dir/self.crt
ssl_key = <$dir/self.key
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$dir
}
`
	dovecot24 = `
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
ssl_server_cert_file = $dir/self.crt
ssl_server_key_file = $dir/self.key
passdb static {
  fields {
    nopassword = yes
  }
}
userdb static {
  fields {
    uid = nobody
    gid = nogroup
    home = $dir
  }
}
`
	dovecotBoth = `
base_dir = $dir/run
state_dir = $dir/state
log_path = $dir/log
listen = 127.0.0.1
protocols = imap pop3
ssl = yes
service imap-login {
  inet_listener imap {
    port = $imap
  }
  inet_listener imaps {
    port = $imaps
  }
}
service pop3-login {
  inet_listener pop3 {
    port = $pop3
  }
  inet_listener pop3s {
    port = 0
  }
}
!include_try $dir/conf.d/*.conf
`
	// Nobody but root can change users and roots.
	dovecotAsUser = `
default_internal_user = $user
default_internal_group = $group
default_login_user = $user
service imap-login {
  chroot =
}
service pop3-login {
  chroot =
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
`
)

// NewDovecot writes the configuration of a Dovecot into dir, which must be there.
// What is added to conf.d outranks it.
func NewDovecot(dir string, imap, imaps, pop3 int) (*Server, error) {
	binary, err := findServer("dovecot")
	if err != nil {
		return nil, err
	}
	doveadm, err := findServer("doveadm", "/usr/bin/doveadm")
	if err != nil {
		return nil, err
	}
	version, err := DovecotVersion()
	if err != nil {
		return nil, err
	}
	if err := selfSigned(dir+"/self.crt", dir+"/self.key"); err != nil {
		return nil, fmt.Errorf("preparing dovecot: %w", err)
	}
	conf := dir + "/dovecot.conf"
	s := &Server{Name: "dovecot", Dir: dir, PIDFile: dir + "/run/master.pid", quit: syscall.SIGTERM}
	s.argv, s.reload = []string{binary, "-F", "-c", conf}, []string{doveadm, "-c", conf, "reload"}
	// Its master listens before its other processes have read the configuration. One
	// of them, anvil, is lost for good where it ends beside a reload, and a thousand
	// logins later there is no other.
	s.asks = []string{doveadm, "-c", conf, "who"}
	text := dovecot24 + dovecotBoth
	if strings.HasPrefix(version, "2.3.") {
		text = dovecot23 + dovecotBoth
	}
	fill := map[string]string{"dir": dir}
	for word, port := range map[string]int{"imap": imap, "imaps": imaps, "pop3": pop3} {
		fill[word] = fmt.Sprint(port)
		s.up = append(s.up, loopback(port))
	}
	if os.Geteuid() != 0 {
		me, err := user.Current()
		if err != nil {
			return nil, fmt.Errorf("preparing dovecot: %w", err)
		}
		group, err := user.LookupGroupId(me.Gid)
		if err != nil {
			return nil, fmt.Errorf("preparing dovecot: %w", err)
		}
		fill["user"], fill["group"] = me.Username, group.Name
		text += dovecotAsUser
	}
	return s, s.write(fill, map[string]string{"dovecot.conf": text, "conf.d/README": "settings that outrank the others\n"})
}

// DovecotVersion returns that of the Dovecot that is installed, such as "2.3.19.1".
func DovecotVersion() (string, error) {
	binary, err := findServer("dovecot")
	if err != nil {
		return "", err
	}
	out, err := exec.Command(binary, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("asking dovecot for its version: %w", err)
	}
	return strings.Fields(string(out))[0], nil
}
