package install

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/certvigil/certvigil/renew"
)

// listOf is the access list of a file as text; empty where it has none.
func listOf(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	list, err := readACL(file)
	must(t, err)
	if list == nil {
		return ""
	}
	st, err := file.Stat()
	must(t, err)
	return fmt.Sprintf("%s %04o", list, list.mode(st))
}

// grant does what setfacl -m u:4242:r,g:4243:r does to a file.
func grant(t *testing.T, path string) {
	t.Helper()
	st, err := os.Stat(path)
	must(t, err)
	list := acl{{tagUser, 4, 4242}, {tagGroups, 4, 4243}}.on(st.Mode().Perm())
	must(t, unix.Setxattr(path, listAttr, list.bytes(), 0))
}

func TestAnAccessListOfTheOperatorsIsKept(t *testing.T) {
	b, next := realPair(t), realPair(t)
	for name := range formats("") {
		t.Run(name, func(t *testing.T) {
			o := formats(newDir(t))[name]
			o.Mode = 0o600
			must(t, Write(o, b))
			grant(t, theFile(o))
			const want = "u:4242:r,g:4243:r,m::r 0600"
			if got := listOf(t, theFile(o)); got != want {
				t.Fatalf("the test's own grant is %s", got)
			}
			if state := Check(o, b); !state.InPlace {
				t.Errorf("what stat tells as the group's is the mask: %+v", state)
			}
			must(t, Write(o, next))
			if got := listOf(t, theFile(o)); got != want {
				t.Errorf("after a renewal it is %q, want %q", got, want)
			}
			if state := Check(o, next); !state.InPlace {
				t.Errorf("%+v", state)
			}
			o.Mode = 0o640
			if state := Check(o, next); state.Reason != renew.Drift || !strings.Contains(state.Detail, "mode 0600, not 0640") {
				t.Errorf("%+v", state)
			}
			must(t, Write(o, next))
			if got := listOf(t, theFile(o)); got != "u:4242:r,g:4243:r,m::r 0640" {
				t.Errorf("with another mode it is %q", got)
			}
		})
	}
}

func TestAConfiguredAccessListIsSetAndKept(t *testing.T) {
	b := realPair(t)
	for name := range formats("") {
		t.Run(name, func(t *testing.T) {
			o := formats(newDir(t))[name]
			o.Mode, o.ACL = 0o600, []string{"u:nobody:r", "g:4243:r"}
			must(t, Write(o, b))
			const want = "u:65534:r,g:4243:r,m::r 0600"
			if got := listOf(t, theFile(o)); got != want {
				t.Errorf("it is %q, want %q", got, want)
			}
			for what, change := range map[string]func() error{
				"taken away": func() error { return unix.Removexattr(theFile(o), listAttr) },
				"masked":     func() error { return os.Chmod(theFile(o), 0o600) },
				"another": func() error {
					return unix.Setxattr(theFile(o), listAttr, acl{{tagUser, 4, 7}}.on(0o600).bytes(), 0)
				},
			} {
				must(t, change())
				if state := Check(o, b); state.Reason != renew.Drift || !strings.Contains(state.Detail, "not u:65534:r,g:4243:r,m::r") {
					t.Errorf("%s: %+v", what, state)
				}
				must(t, Write(o, b))
				if got := listOf(t, theFile(o)); got != want {
					t.Errorf("%s: put right, it is %q", what, got)
				}
			}
		})
	}
}

func TestAnAccessListThatCanNotBeMeantIsRefused(t *testing.T) {
	for _, text := range []string{"u:no-such-user-here:r", "g:no-such-group-here:r", "u:nobody:rw", "x:nobody:r", "u::r", ""} {
		o := formats(newDir(t))["bundle"]
		o.ACL = []string{text}
		if err := Write(o, realPair(t)); err == nil || !strings.Contains(err.Error(), `"`+text+`"`) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A list that can't be set is told of: the server it is for would not read the
// key.
func TestAFileSystemWithoutAccessListsIsToldOf(t *testing.T) {
	o := outputIn(newDir(t))
	o.ACL = []string{"u:4242:r"}
	err := write(o, newPair, func(op, path string) error {
		if op == "setxattr" {
			return unix.ENOTSUP
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "www.key") || !strings.Contains(err.Error(), listAttr) {
		t.Error(err)
	}
	wantNothingLeft(t, strings.TrimSuffix(o.Key, "/www.key"))
}

func TestTheSecurityLabelIsKept(t *testing.T) {
	const label = "system_u:object_r:cert_t:s0\x00"
	b, next := realPair(t), realPair(t)
	for name := range formats("") {
		t.Run(name, func(t *testing.T) {
			o := formats(newDir(t))[name]
			must(t, Write(o, b))
			must(t, unix.Setxattr(theFile(o), labelAttr, []byte(label), 0))
			var order []string
			must(t, write(o, next, func(op, path string) error { order = append(order, op); return nil }))
			value := make([]byte, 100)
			n, err := unix.Getxattr(theFile(o), labelAttr, value)
			if err != nil || string(value[:n]) != label {
				t.Errorf("%q, %v", value[:max(n, 0)], err)
			}
			text := strings.Join(order, " ")
			if at := strings.Index(text, "setxattr"); at < 0 || !strings.HasPrefix(text[at:], "setxattr write") {
				t.Errorf("it was not set before the content was written: %s", text)
			}
		})
	}
}

// Nothing of a file that is refused is believed, and no list makes a panic.
func FuzzParseACL(f *testing.F) {
	f.Add(acl{{tagUser, 4, 7}}.on(0o640).bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := parseACL(raw)
		if err != nil {
			return
		}
		if string(list.bytes()) != string(raw) {
			t.Errorf("%x became %x", raw, list.bytes())
		}
		_ = list.String()
		if again := list.on(0o640).on(0o640); !again.equal(list.on(0o640)) {
			t.Errorf("%s, then %s", list.on(0o640), again)
		}
	})
}
