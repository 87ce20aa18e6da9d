package install

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/certvigil/certvigil/renew"
)

// Powers is what a process may do with files that are not its own.
type Powers struct {
	UID    int
	Groups []int  // that it is a member of
	Caps   uint64 // effective capabilities, a bit each; capabilities(7)
}

// Caps that have to do with owners, by their names in systemd's units.
var caps = []struct {
	name string
	bit  uint64
}{
	{"CAP_CHOWN", 1 << unix.CAP_CHOWN},
	{"CAP_FOWNER", 1 << unix.CAP_FOWNER},
	{"CAP_DAC_READ_SEARCH", 1 << unix.CAP_DAC_READ_SEARCH},
	{"CAP_DAC_OVERRIDE", 1 << unix.CAP_DAC_OVERRIDE},
}

// CapsNamed is the bits of those among names that [Powers.Lack] asks for; letter
// case does not matter.
func CapsNamed(names []string) (bits uint64) {
	for _, c := range caps {
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, c.name) }) {
			bits |= c.bit
		}
	}
	return bits
}

// OwnPowers is what this process may do.
func OwnPowers() (Powers, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return Powers{}, fmt.Errorf("reading this process's capabilities: %w", err)
	}
	groups, err := os.Getgroups()
	if err != nil {
		return Powers{}, fmt.Errorf("reading this process's groups: %w", err)
	}
	return Powers{
		UID: os.Geteuid(), Groups: append(groups, os.Getegid()),
		Caps: uint64(data[1].Effective)<<32 | uint64(data[0].Effective),
	}, nil
}

// Lack is why an output can't be given to whom it is configured for.
type Lack struct {
	Caps  []string // that are needed and not there
	Group string   // that the process would have to be a member of, where that is enough
	Why   string   // in words
}

// Lack tells what p lacks to write o with its owner and group, and to read
// afterwards whether it is still what it is to be; false where nothing is lacking.
//
// chown(2): only CAP_CHOWN gives a file away; its owner may give it to a group of
// his. What was given away is another's: its mode (chmod(2)) and access list are
// set with CAP_FOWNER, and one that is closed to the process is read with
// CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE.
func (p Powers) Lack(o renew.Output) (Lack, bool) {
	a, err := accessOf(o)
	if err != nil {
		return Lack{}, false // Ready tells it
	}
	given := a.uid >= 0 && a.uid != p.UID
	foreign := a.gid >= 0 && !slices.Contains(p.Groups, a.gid)
	var l Lack
	var why []string
	need := func(name string, others uint64, words string) {
		if p.Caps&(CapsNamed([]string{name})|others) == 0 {
			l.Caps, why = append(l.Caps, name), append(why, words)
		}
	}
	switch {
	case given:
		need("CAP_CHOWN", 0, fmt.Sprintf("user %d may not give a file to the owner %s", p.UID, o.Owner))
	case foreign:
		need("CAP_CHOWN", 0, fmt.Sprintf("user %d is no member of the group %s, and may not give it a file", p.UID, o.Group))
	}
	if given {
		need("CAP_FOWNER", 0, "it may not set the mode of a file that is another's")
		if p.closed(o, a) {
			need("CAP_DAC_READ_SEARCH", CapsNamed([]string{"CAP_DAC_OVERRIDE"}), "it may not read afterwards what it wrote")
		}
	}
	if !given && len(l.Caps) > 0 {
		l.Group = o.Group
	}
	l.Why = strings.Join(why, ", and ")
	return l, len(l.Caps) > 0
}

// closed tells whether p could not read all of the files of o, once they are
// another's. Where an access list is configured, that may let it in.
func (p Powers) closed(o renew.Output, a access) bool {
	all, err := formed(o)
	if err != nil || a.grants != nil {
		return false
	}
	return slices.ContainsFunc(all, func(f file) bool {
		if f.path == "" {
			return false
		}
		mode := a.mode
		if mode == 0 {
			mode = f.form.mode
			if st, err := os.Stat(f.path); err == nil {
				mode = st.Mode().Perm() // which the new one takes over
			}
		}
		member := a.gid < 0 || slices.Contains(p.Groups, a.gid)
		const group, others fs.FileMode = 0o040, 0o004
		return mode&others == 0 && (mode&group == 0 || !member)
	})
}
