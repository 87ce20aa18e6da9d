package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// state is how a file stands, the worst last.
type state int

const (
	inPlace      state = iota
	otherAccess        // owner, group or mode
	otherContent       // or missing, or not to be read
)

// finding is how a file stands, and what differs.
type finding struct {
	state  state
	detail string
}

// Check tells whether an output holds the pair: InstallPending where a file is
// missing, has another content or can't be read, Drift where only owner, group
// or mode differ from what is configured. Detail lists all that differs.
func Check(o renew.Output, b store.Bundle) renew.OutputState {
	var result renew.OutputState
	if paths := o.Paths(); len(paths) > 0 {
		result.Path = paths[0]
	}
	all, err := files(o, b)
	var want access
	if err == nil {
		want, err = accessOf(o)
	}
	if err != nil {
		result.Reason, result.Detail = renew.InstallPending, err.Error()
		return result
	}
	worst := inPlace
	var details []string
	for _, f := range all {
		found := f.look(want)
		worst = max(worst, found.state)
		if found.detail != "" {
			details = append(details, found.detail)
		}
	}
	switch worst {
	case inPlace:
		result.InPlace = true
	case otherAccess:
		result.Reason = renew.Drift
	case otherContent:
		result.Reason = renew.InstallPending
	}
	result.Detail = strings.Join(details, "; ")
	return result
}

// look compares a file with what it is to be.
func (f file) look(want access) finding {
	st, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return finding{otherContent, f.path + " does not exist"}
	}
	if err == nil {
		err = replaceable(f.path, st)
	}
	if err != nil {
		return finding{otherContent, err.Error()}
	}
	same, err := f.same(st)
	if err != nil {
		return finding{otherContent, err.Error()}
	}
	if !same {
		return finding{otherContent, f.path + " has another content"}
	}
	if differs := want.differs(st); differs != "" {
		return finding{otherAccess, f.path + " has " + differs}
	}
	return finding{}
}

func (f file) same(st fs.FileInfo) (bool, error) {
	if st.Size() != int64(len(f.data)) {
		return false, nil
	}
	opened, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer opened.Close() // nothing was written
	got, err := io.ReadAll(io.LimitReader(opened, int64(len(f.data))+1))
	return bytes.Equal(got, f.data), err
}

// differs says in which of the things configured a file differs.
func (a access) differs(st fs.FileInfo) string {
	var all []string
	sys, ok := st.Sys().(*syscall.Stat_t)
	if ok && a.uid >= 0 && int(sys.Uid) != a.uid {
		all = append(all, fmt.Sprintf("owner %d, not %d", sys.Uid, a.uid))
	}
	if ok && a.gid >= 0 && int(sys.Gid) != a.gid {
		all = append(all, fmt.Sprintf("group %d, not %d", sys.Gid, a.gid))
	}
	if a.mode != 0 && st.Mode().Perm() != a.mode {
		all = append(all, fmt.Sprintf("mode %04o, not %04o", st.Mode().Perm(), a.mode))
	}
	return strings.Join(all, ", ")
}

// ChangedAt tells when a file of the output last changed in any way, its owner
// and mode included; zero where none of them exists.
func ChangedAt(o renew.Output) time.Time {
	var latest time.Time
	for _, path := range o.Paths() {
		st, err := os.Lstat(path)
		if err != nil {
			continue // Check says so
		}
		if changed := changedAt(st); changed.After(latest) {
			latest = changed
		}
	}
	return latest
}
