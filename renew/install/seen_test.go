package install

import (
	"os"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

func TestAHookThatTouchesAnOutputCausesReloadsForEver(t *testing.T) {
	o := outputIn(newDir(t))
	o.Group, o.Mode = "4243", 0o640
	must(t, Write(o, newPair))
	before, changed := Seen(o), ChangedAt(o)
	deadline := time.Now().Add(5 * time.Second)
	for !ChangedAt(o).After(changed) { // the clock of a file system ticks in milliseconds
		if time.Now().After(deadline) {
			t.Fatal("no time of a change moved")
		}
		for _, path := range o.Paths() {
			must(t, os.Chown(path, -1, 4243))
			must(t, os.Chmod(path, 0o640))
		}
	}
	if after := Seen(o); after != before {
		t.Errorf("seen %s, then %s, although all is as it was", before, after)
	}
}

func TestSeenTellsWhatAServerWouldReadAnew(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, o *renew.Output){
		"a file is gone":            func(t *testing.T, o *renew.Output) { must(t, os.Remove(o.Chain)) },
		"another mode":              func(t *testing.T, o *renew.Output) { must(t, os.Chmod(o.Key, 0o640)) },
		"another owner":             func(t *testing.T, o *renew.Output) { must(t, os.Chown(o.Key, 4242, -1)) },
		"another group":             func(t *testing.T, o *renew.Output) { must(t, os.Chown(o.Key, -1, 4242)) },
		"another size, to the tick": func(t *testing.T, o *renew.Output) { rewrite(t, o.Cert, "longer than the new leaf\n") },
		"another time":              func(t *testing.T, o *renew.Output) { must(t, os.Chtimes(o.Cert, time.Time{}, time.Unix(1e9, 0))) },
		"another file, like the first in all": func(t *testing.T, o *renew.Output) {
			rewrite(t, o.Cert+".other", "old leaf\n")
			alike(t, o.Cert, o.Cert+".other")
			must(t, os.Rename(o.Cert+".other", o.Cert))
		},
		"a symlink to the file": func(t *testing.T, o *renew.Output) {
			must(t, os.Rename(o.Key, o.Key+".real"))
			must(t, os.Symlink(o.Key+".real", o.Key))
		},
		"another path": func(t *testing.T, o *renew.Output) {
			must(t, os.Link(o.Key, o.Key+".too"))
			o.Key += ".too"
		},
		"one part fewer":    func(t *testing.T, o *renew.Output) { o.Chain = "" },
		"another pair":      func(t *testing.T, o *renew.Output) { must(t, Write(*o, newPair)) },
		"two paths swapped": func(t *testing.T, o *renew.Output) { o.Cert, o.Chain = o.Chain, o.Cert },
	} {
		t.Run(name, func(t *testing.T) {
			o := outputIn(newDir(t))
			must(t, Write(o, oldPair))
			before := Seen(o)
			if again := Seen(o); again != before || len(before) != 16 {
				t.Fatalf("seen %q, then %q", before, again)
			}
			change(t, &o)
			if Seen(o) == before {
				t.Error("not seen")
			}
		})
	}
}

// rewrite changes a file in place, and gives it the time that it had.
func rewrite(t *testing.T, path, content string) {
	t.Helper()
	st, err := os.Stat(path)
	must(t, os.WriteFile(path, []byte(content), 0o644))
	if err == nil {
		must(t, os.Chtimes(path, time.Time{}, st.ModTime()))
	}
}

// alike gives a file the mode and time of another.
func alike(t *testing.T, original, path string) {
	t.Helper()
	st, err := os.Stat(original)
	must(t, err)
	must(t, os.Chmod(path, st.Mode().Perm()))
	must(t, os.Chtimes(path, time.Time{}, st.ModTime()))
}

// Neither that it is missing nor that it is there was found out.
func TestSeenTellsWhatCanNotBeLookedAtFromWhatIsMissing(t *testing.T) {
	dir := newDir(t)
	o := renew.Output{Key: dir + "/tls/www.key"}
	missing := Seen(o)
	must(t, os.Symlink("tls", dir+"/tls"))
	if looped := Seen(o); looped == missing {
		t.Error(looped)
	}
}
