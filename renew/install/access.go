package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// access is what the output configures: -1, 0 and nil leave it open.
type access struct {
	uid, gid int
	mode     fs.FileMode
	grants   acl
}

func accessOf(o renew.Output) (access, error) {
	a := access{uid: -1, gid: -1, mode: o.Mode.Perm()}
	var err error
	if o.Owner != "" {
		if a.uid, err = number(o.Owner, userID); err != nil {
			return a, fmt.Errorf("looking up the owner %q: %w", o.Owner, err)
		}
	}
	if o.Group != "" {
		if a.gid, err = number(o.Group, groupID); err != nil {
			return a, fmt.Errorf("looking up the group %q: %w", o.Group, err)
		}
	}
	a.grants, err = grantsOf(o.ACL)
	return a, err
}

// number reads a number as it is and looks a name up.
func number(text string, lookup func(string) (string, error)) (int, error) {
	id, err := strconv.ParseUint(text, 10, 31)
	if err == nil {
		return int(id), nil
	}
	found, err := lookup(text)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(found)
}

func userID(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func groupID(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}

// differs says in which of the things configured a file differs.
func (a access) differs(st fs.FileInfo, opened *os.File) (string, error) {
	var all []string
	owner := ownerOf(st)
	if a.uid >= 0 && owner.UID != a.uid {
		all = append(all, fmt.Sprintf("owner %d, not %d", owner.UID, a.uid))
	}
	if a.gid >= 0 && owner.GID != a.gid {
		all = append(all, fmt.Sprintf("group %d, not %d", owner.GID, a.gid))
	}
	if a.grants == nil && a.mode == 0 {
		return strings.Join(all, ", "), nil
	}
	list, err := readACL(opened)
	if err != nil {
		return "", err
	}
	mode := list.mode(st)
	if a.mode != 0 && mode != a.mode {
		all = append(all, fmt.Sprintf("mode %04o, not %04o", mode, a.mode))
		mode = a.mode
	}
	if want := a.grants.on(mode); a.grants != nil && !want.equal(list) {
		all = append(all, fmt.Sprintf("access list %s, not %s", list, want))
	}
	return strings.Join(all, ", "), nil
}

// standing is what a file that is to be replaced passes on.
type standing struct {
	mode  fs.FileMode
	owner store.Owner
	list  acl
	label []byte // of SELinux
}

const labelAttr = "security.selinux"

func newStanding(f file) standing {
	return standing{mode: f.form.mode, owner: store.Owner{UID: -1, GID: -1}}
}

// standingOf reads what the file name in folder passes on. Where there is none,
// it is a new file's.
func standingOf(folder store.Folder, name string, f file) (standing, error) {
	s := newStanding(f)
	st, err := folder.Root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := replaceable(folder, f.path, st); err != nil {
		return s, err
	}
	s.mode, s.owner = st.Mode().Perm(), ownerOf(st)
	opened, err := folder.Root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return s, nil // nor may this process give it what it had
	}
	if err != nil {
		return s, err
	}
	defer opened.Close() // nothing was written
	if s.list, err = readACL(opened); err != nil {
		return s, fmt.Errorf("reading the access list of %s: %w", f.path, err)
	}
	s.mode = s.list.mode(st)
	if s.label, err = readAttr(opened, labelAttr); err != nil {
		return s, fmt.Errorf("reading the security label of %s: %w", f.path, err)
	}
	return s, nil
}

// readAttr reads an extended attribute; nil where there is none, or where the
// file system has no such thing.
func readAttr(opened *os.File, name string) ([]byte, error) {
	fd, value := int(opened.Fd()), make([]byte, 4096)
	n, err := unix.Fgetxattr(fd, name, value)
	if errors.Is(err, unix.ERANGE) {
		value = make([]byte, 64<<10) // what the kernel bounds it to, xattr(7)
		n, err = unix.Fgetxattr(fd, name, value)
	}
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return value[:n], nil
}

// choices lists what a new file in place of s may be given, in order of
// preference: who is configured to own it must; what is taken over from the old
// file need not. Only root may give a file away; others may give it to a group of
// theirs.
func (a access) choices(s standing) []store.Access {
	mode := s.mode
	if a.mode != 0 {
		mode = a.mode
	}
	var attrs []store.Attr
	list := s.list
	if a.grants != nil {
		list = a.grants
	}
	if list != nil {
		attrs = append(attrs, store.Attr{Name: listAttr, Value: list.on(mode).bytes()})
	}
	if s.label != nil {
		attrs = append(attrs, store.Attr{Name: labelAttr, Value: s.label})
	}
	must := store.Owner{UID: a.uid, GID: a.gid}
	all, group := must, must
	if a.gid < 0 {
		all.GID, group.GID = s.owner.GID, s.owner.GID
	}
	if a.uid < 0 {
		all.UID = s.owner.UID
	}
	var choices []store.Access
	for _, owner := range []store.Owner{all, group, must} {
		choices = append(choices, store.Access{Mode: mode, Owner: &owner, Attrs: attrs})
	}
	return choices
}

// first makes a file by do with the first of the choices that is permitted.
func first(choices []store.Access, do func(store.Access) error) (err error) {
	for _, c := range choices {
		if err = do(c); !errors.Is(err, syscall.EPERM) {
			break
		}
	}
	return err
}

func ownerOf(st fs.FileInfo) store.Owner {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return store.Owner{UID: int(sys.Uid), GID: int(sys.Gid)}
	}
	return store.Owner{UID: -1, GID: -1}
}
