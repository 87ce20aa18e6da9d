package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

func TestAVersionReadsBackAsItWasCommitted(t *testing.T) {
	s, b := newStore(t), newBundle(t)
	b.Meta.Profile, b.Meta.Untrusted, b.Meta.Fingerprint = "short", true, ""
	n := mustCommit(t, s, "www", b)
	got, err := s.Read("www", n)
	must(t, err)
	if string(got.Key) != string(b.Key) || string(got.Fullchain()) != string(b.Fullchain()) {
		t.Error("the files differ")
	}
	if got.StateDir != s.Path() {
		t.Errorf("read from %q", got.StateDir)
	}
	v := versionsOf(t, s, "www")[0]
	if !v.Usable() || v.N != 1 || v.Issuer != "test" || v.Profile != "short" || !v.Untrusted || v.Account != b.Meta.Account {
		t.Errorf("%+v", v)
	}
	if !v.IssuedAt.Equal(b.Meta.IssuedAt) || v.Fingerprint != got.Meta.Fingerprint || v.KeyType != renew.EC256 {
		t.Errorf("%+v", v)
	}
	full, err := os.ReadFile(filepath.Join(s.Dir("www", n), "fullchain.pem"))
	if err != nil || string(full) != string(b.Fullchain()) {
		t.Error("fullchain.pem is not the leaf and its chain", err)
	}
}

func TestADamagedVersionHasAFaultAndNoError(t *testing.T) {
	other := newBundle(t)
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir string)
		reason renew.Reason
	}{
		"the key is gone":          {func(t *testing.T, dir string) { must(t, os.Remove(dir+"/privkey.pem")) }, renew.Unreadable},
		"the chain is gone":        {func(t *testing.T, dir string) { must(t, os.Remove(dir+"/chain.pem")) }, renew.Unreadable},
		"the certificate is empty": {func(t *testing.T, dir string) { write(t, dir+"/cert.pem", nil) }, renew.Unreadable},
		"fullchain lost its end":   {func(t *testing.T, dir string) { must(t, os.Truncate(dir+"/fullchain.pem", 700)) }, renew.Unreadable},
		"the key lost its end":     {func(t *testing.T, dir string) { must(t, os.Truncate(dir+"/privkey.pem", 100)) }, renew.Unreadable},
		"fullchain grew to 3 MiB":  {func(t *testing.T, dir string) { must(t, os.Truncate(dir+"/fullchain.pem", 3<<20)) }, renew.Unreadable},
		"another key":              {func(t *testing.T, dir string) { write(t, dir+"/privkey.pem", other.Key) }, renew.PairMismatch},
		"another chain.pem":        {func(t *testing.T, dir string) { write(t, dir+"/chain.pem", other.Chain) }, renew.Altered},
		"a whole other pair": {func(t *testing.T, dir string) {
			write(t, dir+"/privkey.pem", other.Key)
			write(t, dir+"/cert.pem", other.Cert)
			write(t, dir+"/chain.pem", other.Chain)
			write(t, dir+"/fullchain.pem", other.Fullchain())
		}, renew.Altered},
		"the key is a symlink to a good one elsewhere": {func(t *testing.T, dir string) {
			must(t, os.Rename(dir+"/privkey.pem", dir+"/elsewhere.pem"))
			must(t, os.Symlink("elsewhere.pem", dir+"/privkey.pem"))
		}, renew.Altered},
		"a directory in place of the key": {func(t *testing.T, dir string) {
			must(t, os.Remove(dir+"/privkey.pem"))
			must(t, os.Mkdir(dir+"/privkey.pem", 0o700))
		}, renew.Altered},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			n := mustCommit(t, s, "www", newBundle(t))
			if v := versionsOf(t, s, "www"); !v[0].Usable() { // and is remembered
				t.Fatal(v)
			}
			c.damage(t, s.Dir("www", n))
			v := versionsOf(t, s, "www")[0]
			if v.Fault != c.reason || v.FaultDetail == "" || v.N != n {
				t.Errorf("fault %q (%s), want %s", v.Fault, v.FaultDetail, c.reason)
			}
			_, err := s.Read("www", n)
			if fault, ok := errors.AsType[*keypair.Fault](err); !ok || fault.Reason != c.reason {
				t.Errorf("Read: %v", err)
			}
			if m := mustCommit(t, s, "www", newBundle(t)); m != n+1 {
				t.Errorf("the next version is %d", m)
			}
		})
	}
}

func TestAPairOutlivesItsMeta(t *testing.T) {
	for name, meta := range map[string]string{"gone": "", "torn": `{"issuer":"te`, "zeroes": "\x00\x00\x00", "of another type": `[1]`} {
		s, b := newStore(t), newBundle(t)
		n := mustCommit(t, s, "www", b)
		file := filepath.Join(s.Dir("www", n), "meta.json")
		must(t, os.Remove(file))
		if meta != "" {
			write(t, file, []byte(meta))
		}
		v := versionsOf(t, s, "www")[0]
		if !v.Usable() || v.Fingerprint != b.Meta.Fingerprint || v.IssuedAt.IsZero() {
			t.Errorf("meta %s: %+v", name, v)
		}
	}
}

// What was read once is not read again until a file of it changes in any way:
// the poison stands for what would be read.
func TestVersionsReadsOnlyWhatChanged(t *testing.T) {
	s := newStore(t)
	n := mustCommit(t, s, "www", newBundle(t))
	versionsOf(t, s, "www")
	st, _ := s.state("www")
	poisoned := st.seen[n]
	poisoned.version.Serial = "poison"
	st.seen[n] = poisoned
	if versionsOf(t, s, "www")[0].Serial != "poison" {
		t.Error("an unchanged version was read again")
	}
	key := filepath.Join(s.Dir("www", n), "privkey.pem")
	data, err := os.ReadFile(key)
	must(t, err)
	info, err := os.Stat(key)
	must(t, err)
	write(t, key, data)
	must(t, os.Chtimes(key, time.Now(), info.ModTime())) // as rsync -t does
	if versionsOf(t, s, "www")[0].Serial == "poison" {
		t.Error("a version that was written to was not read again")
	}
}

// A file that changed a moment ago may change again within the same tick.
func TestVersionsDoesNotRememberWhatHasJustChanged(t *testing.T) {
	s := newStore(t)
	s.settled = time.Hour
	mustCommit(t, s, "www", newBundle(t))
	versionsOf(t, s, "www")
	if st, _ := s.state("www"); len(st.seen) != 0 {
		t.Error("remembered")
	}
}

func TestWhatIsNoVersionIsLeftAlone(t *testing.T) {
	s := newStore(t)
	n := mustCommit(t, s, "www", newBundle(t))
	dir := filepath.Dir(s.Dir("www", n))
	for _, name := range []string{"0", "-1", "01", "+2", "3.bak", "notes"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	must(t, os.Symlink("1", filepath.Join(dir, "7")))
	write(t, filepath.Join(dir, "8"), nil)
	if v := versionsOf(t, s, "www"); len(v) != 1 {
		t.Errorf("%+v", v)
	}
	if n := mustCommit(t, s, "www", newBundle(t)); n != 9 {
		t.Errorf("version %d, on top of what stands there", n)
	}
	if v := versionsOf(t, s, "nobody"); len(v) != 0 {
		t.Errorf("%+v", v)
	}
}
