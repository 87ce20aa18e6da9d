package install

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/store"
)

// password is what the tests' keystores are encrypted with.
type password string

func (p password) Reveal() string { return string(p) }

// realPair makes a pair that parses, with another certificate for a chain.
func realPair(t testing.TB) store.Bundle {
	t.Helper()
	var b store.Bundle
	for i := range 2 {
		key, err := keypair.GenerateKey(renew.EC256)
		must(t, err)
		template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(2e9, 0)}
		raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		must(t, err)
		cert, err := keypair.CertificateFromDER(raw)
		must(t, err)
		if i == 1 {
			b.Chain = cert
			break
		}
		b.Cert = cert
		b.Key, err = keypair.EncodeKey(key)
		must(t, err)
	}
	return b
}

// formats is an output of each format in dir.
func formats(dir string) map[string]renew.Output {
	return map[string]renew.Output{
		"pem":           outputIn(dir),
		"directory":     {Format: "pem", Directory: dir + "/www"},
		"bundle":        {Format: "bundle", Path: dir + "/www.pem", Parts: []string{"key", "fullchain"}},
		"bundle turned": {Format: "bundle", Path: dir + "/www.pem", Parts: []string{"chain", "cert", "key"}},
		"pkcs12":        {Format: "pkcs12", Path: dir + "/www.p12", Password: password("pw-pw-pw")},
		"pkcs12 legacy": {Format: "pkcs12", Path: dir + "/www.p12", Password: password("pw-pw-pw"), Legacy: true},
		"jks":           {Format: "jks", Path: dir + "/www.jks", Password: password("pw-pw-pw"), Alias: "www"},
		"der":           {Format: "der", Key: dir + "/www.key.der", Cert: dir + "/www.crt.der"},
	}
}

// theFile is one file that has the key in it.
func theFile(o renew.Output) string {
	switch {
	case o.Directory != "":
		return o.Directory + "/privkey.pem"
	case o.Key != "":
		return o.Key
	}
	return o.Path
}

// stamp changes when anything is written at the output's paths.
func stamp(o renew.Output) string { return Seen(o) }

func TestEveryFormatIsWrittenOnceAndFoundInPlace(t *testing.T) {
	first, second := realPair(t), realPair(t)
	for name := range formats("") {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			o := formats(dir)[name]
			o.Mode = 0o640
			if Check(o, first).InPlace {
				t.Error("in place before it was written")
			}
			must(t, Write(o, first))
			if state := Check(o, first); !state.InPlace {
				t.Errorf("%+v", state)
			}
			if state := Check(o, second); state.InPlace || state.Reason != renew.InstallPending {
				t.Errorf("another pair: %+v", state)
			}
			wantAccess(t, theFile(o), 0o640, 0, 0)
			before := stamp(o)
			must(t, Write(o, first))
			if stamp(o) != before {
				t.Error("it was rewritten although it was in place")
			}
			must(t, Write(o, second))
			if state := Check(o, second); !state.InPlace || stamp(o) == before {
				t.Errorf("the second: %+v", state)
			}
			wantNothingLeft(t, dir)
		})
	}
}

func TestDriftOfEveryFormatIsFoundAndPutRight(t *testing.T) {
	b := realPair(t)
	for name := range formats("") {
		for what, c := range map[string]struct {
			do     func(t *testing.T, path string)
			reason renew.Reason
		}{
			"content": {func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("x"), 0o640)) }, renew.InstallPending},
			"torn": {func(t *testing.T, path string) {
				st, err := os.Stat(path)
				must(t, err)
				must(t, os.Truncate(path, st.Size()/2))
			}, renew.InstallPending},
			"removed": {func(t *testing.T, path string) { must(t, os.Remove(path)) }, renew.InstallPending},
			"symlink": {func(t *testing.T, path string) {
				must(t, os.Rename(path, path+".real"))
				must(t, os.Symlink(path+".real", path))
			}, renew.InstallPending},
			"owner": {func(t *testing.T, path string) { must(t, os.Chown(path, 4242, -1)) }, renew.Drift},
			"group": {func(t *testing.T, path string) { must(t, os.Chown(path, -1, 4242)) }, renew.Drift},
			"mode":  {func(t *testing.T, path string) { must(t, os.Chmod(path, 0o604)) }, renew.Drift},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				o := formats(newDir(t))[name]
				o.Owner, o.Group, o.Mode = "0", "0", 0o640
				must(t, Write(o, b))
				c.do(t, theFile(o))
				state := Check(o, b)
				if what == "owner" && (o.Format == "jks" || o.Format == "pkcs12") {
					c.reason = renew.InstallPending // nobody looks into a stranger's file
				}
				if state.InPlace || state.Reason != c.reason || !strings.Contains(state.Detail, theFile(o)) {
					t.Errorf("%+v", state)
				}
				err := Write(o, b)
				if what == "symlink" && o.Directory == "" {
					if err == nil || !strings.Contains(err.Error(), theFile(o)+" is a symlink") {
						t.Errorf("a symlink of somebody's: %v", err)
					}
					return
				}
				must(t, err)
				if state := Check(o, b); !state.InPlace {
					t.Errorf("not put right: %+v", state)
				}
			})
		}
	}
}

func TestEveryFormatIsFoundAsWhatItHolds(t *testing.T) {
	ours, theirs := realPair(t), realPair(t)
	for name := range formats("") {
		t.Run(name, func(t *testing.T) {
			o := formats(newDir(t))[name]
			must(t, Write(o, theirs))
			found, err := Find(o, []store.Bundle{ours})
			want := theirs.Fullchain()
			if name == "der" {
				want = theirs.Cert
			}
			if err != nil || found.Ours || !bytes.Equal(found.Key, theirs.Key) || !bytes.Equal(found.Fullchain, want) {
				t.Errorf("theirs: %v, ours %v\n%s%s", err, found.Ours, found.Key, found.Fullchain)
			}
			if found, err = Find(o, []store.Bundle{ours, theirs}); err != nil || !found.Ours {
				t.Errorf("ours: %v, %v", err, found.Ours)
			}
			must(t, os.WriteFile(theFile(o), []byte("x"), 0o600))
			if found, _ = Find(o, []store.Bundle{ours, theirs}); found.Ours {
				t.Error("garbage is ours")
			}
		})
	}
}

// A directory on the way that another user may write to, and a symlink that he
// planted.
func TestEveryFormatRefusesAPathOfSomebodyElses(t *testing.T) {
	b := realPair(t)
	for name := range formats("") {
		for what, c := range map[string]struct {
			do   func(t *testing.T, dir string) (to string)
			want string
		}{
			"anyone may write there": {func(t *testing.T, dir string) string {
				must(t, os.MkdirAll(dir+"/open/tls", 0o755))
				must(t, os.Chmod(dir+"/open", 0o777))
				return dir + "/open/tls"
			}, "/open can be written to by anyone"},
			"another user's": {func(t *testing.T, dir string) string {
				must(t, os.MkdirAll(dir+"/home/tls", 0o755))
				must(t, os.Chown(dir+"/home", 4242, 4242))
				return dir + "/home/tls"
			}, "/home belongs to user 4242"},
			"a planted symlink": {func(t *testing.T, dir string) string {
				must(t, os.Mkdir(dir+"/victim", 0o755))
				must(t, os.Mkdir(dir+"/tmp", 0o755))
				must(t, os.Chmod(dir+"/tmp", 0o777|os.ModeSticky))
				must(t, os.Symlink(dir+"/victim", dir+"/tmp/tls"))
				must(t, os.Lchown(dir+"/tmp/tls", 4242, 4242))
				return dir + "/tmp/tls"
			}, "/tmp/tls belongs to user 4242"},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				dir := newDir(t)
				o := formats(c.do(t, dir))[name]
				if err := Write(o, b); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
				if left, _ := filepath.Glob(dir + "/*/*"); len(left) > 1 {
					t.Errorf("something was written: %q", left)
				}
			})
		}
	}
}

// Who looks on from outside of the service has no credentials.
func TestWithoutThePasswordTheContentIsTakenToBeRight(t *testing.T) {
	b := realPair(t)
	for _, name := range []string{"pkcs12", "jks"} {
		o := formats(newDir(t))[name]
		o.Mode = 0o600
		blind := o
		blind.Password = nil
		if Check(blind, b).InPlace {
			t.Errorf("%s: nothing is there", name)
		}
		must(t, Write(o, b))
		if state := Check(blind, b); !state.InPlace {
			t.Errorf("%s: %+v", name, state)
		}
		must(t, os.Chmod(o.Path, 0o644))
		if state := Check(blind, b); state.Reason != renew.Drift {
			t.Errorf("%s: %+v", name, state)
		}
		must(t, os.Remove(o.Path))
		if err := Write(blind, b); err == nil || !strings.Contains(err.Error(), "password") {
			t.Errorf("%s: written without a password: %v", name, err)
		}
	}
}

func TestAnotherPasswordIsAnotherContent(t *testing.T) {
	b := realPair(t)
	for _, name := range []string{"pkcs12", "jks"} {
		o := formats(newDir(t))[name]
		must(t, Write(o, b))
		o.Password = password("changed-since")
		if state := Check(o, b); state.Reason != renew.InstallPending || strings.Contains(state.Detail, "changed-since") {
			t.Errorf("%s: %+v", name, state)
		}
		must(t, Write(o, b))
	}
}
