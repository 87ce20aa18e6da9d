package issue

import (
	"context"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// tree lists what is below root.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(root, path); rel != "." {
			found = append(found, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAChallengeIsAFileUntilItIsOver(t *testing.T) {
	root := t.TempDir()
	w := newWebroots()
	withdraw, err := w.present(root, "token-1", "answer-1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := w.present(root, "token-2", "answer-2")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, challengeFolder, "token-1")
	if text, err := os.ReadFile(file); err != nil || string(text) != "answer-1" {
		t.Errorf("%q, %v", text, err)
	}
	for path, want := range map[string]fs.FileMode{file: 0o644, filepath.Dir(file): 0o755 | fs.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if got := tree(t, root); len(got) != 4 {
		t.Errorf("%v", got)
	}
	withdraw()
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	other()
	if got := tree(t, root); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestFoldersThatWereThereStay(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, wellKnownFolder), 0o755); err != nil {
		t.Fatal(err)
	}
	w := newWebroots()
	withdraw, err := w.present(root, "token-1", "answer-1")
	if err != nil {
		t.Fatal(err)
	}
	withdraw()
	if got := tree(t, root); !slices.Equal(got, []string{wellKnownFolder}) {
		t.Errorf("%v", got)
	}
}

func TestWhatACrashLeftIsReplaced(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, challengeFolder), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"token-1", ".token-1.tmp"} {
		if err := os.WriteFile(filepath.Join(root, challengeFolder, name), []byte("torn"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	withdraw, err := newWebroots().present(root, "token-1", "answer-1")
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(filepath.Join(root, challengeFolder, "token-1")); string(text) != "answer-1" {
		t.Errorf("%q", text)
	}
	withdraw()
	if got := tree(t, root); len(got) != 2 {
		t.Errorf("left behind: %v", got)
	}
}

// Who may write into a site must not choose where a root process writes.
func TestNoLinkIsFollowed(t *testing.T) {
	for name, plant := range map[string]func(root, outside string) error{
		"well-known outside": func(root, outside string) error {
			return os.Symlink(outside, filepath.Join(root, wellKnownFolder))
		},
		"challenge outside": func(root, outside string) error {
			_ = os.Mkdir(filepath.Join(root, wellKnownFolder), 0o755)
			return os.Symlink(outside, filepath.Join(root, challengeFolder))
		},
		"challenge elsewhere inside": func(root, _ string) error {
			_ = os.MkdirAll(filepath.Join(root, wellKnownFolder), 0o755)
			_ = os.Mkdir(filepath.Join(root, "uploads"), 0o755)
			return os.Symlink("../uploads", filepath.Join(root, challengeFolder))
		},
		"a file in the way": func(root, _ string) error {
			return os.WriteFile(filepath.Join(root, wellKnownFolder), nil, 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			root, outside := t.TempDir(), t.TempDir()
			if err := plant(root, outside); err != nil {
				t.Fatal(err)
			}
			before := tree(t, root)
			if _, err := newWebroots().present(root, "token-1", "answer-1"); renew.ClassOf(err) != renew.Local {
				t.Errorf("%v", err)
			}
			if got := tree(t, outside); len(got) != 0 {
				t.Errorf("written outside: %v", got)
			}
			if got := tree(t, root); !slices.Equal(got, before) {
				t.Errorf("%v became %v", before, got)
			}
		})
	}
}

func TestALinkOfTheTokensNameIsReplacedNotFollowed(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, challengeFolder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"token-1", ".token-1.tmp"} {
		if err := os.Symlink(victim, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	withdraw, err := newWebroots().present(root, "token-1", "answer-1")
	if err != nil {
		t.Fatal(err)
	}
	withdraw()
	if text, _ := os.ReadFile(victim); string(text) != "precious" {
		t.Errorf("the link was followed: %q", text)
	}
}

func TestATokenIsNeverAPath(t *testing.T) {
	root := t.TempDir()
	for _, token := range []string{"", "..", "../x", "a/b", "a\\b", "/etc/passwd", "a.b", "a b", "a\x00b", "é", strings.Repeat("a", 129), "token\n"} {
		if _, err := newWebroots().present(root, token, "x"); renew.ClassOf(err) != renew.Refused {
			t.Errorf("%q: %v", token, err)
		}
	}
	if got := tree(t, root); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// startSite starts a CA, and a client whose solver writes into the document root
// that it returns.
func startSite(t *testing.T, middleware func(http.Handler) http.Handler) (b *bench, root string) {
	t.Helper()
	root = t.TempDir()
	site, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(root))}
	go func() { _ = server.Serve(site) }()
	t.Cleanup(func() { _ = server.Close() })

	b = start(t, acmetest.Options{})
	_ = b.ca.Close()
	if b.ca, err = acmetest.Start(acmetest.Options{HTTPPort: site.Addr().(*net.TCPAddr).Port, Middleware: middleware}); err != nil {
		t.Fatal(err)
	}
	b.issuer.Directory, b.issuer.TrustRoots = b.ca.DirectoryURL(), b.ca.TrustPEM()
	b.opts.Solvers = map[string]config.Solver{"webroot.site": {Type: "webroot", Name: "site", Path: root}}
	b.rebuild()
	return b, root
}

// A process that is killed withdraws nothing. What it published is known by the
// order that it noted, and goes with that.
func TestACrashLeavesNoChallengeInTheDocumentRoot(t *testing.T) {
	for name, path := range map[string]string{"while the CA looks": atChallenge, "when it has looked": atFinalize} {
		t.Run(name, func(t *testing.T) {
			f := new(faults)
			b, root := startSite(t, f.middleware)
			var published []string
			ctx, crash := context.WithCancel(t.Context())
			defer crash()
			stop := first(1, path, func(http.Handler) http.Handler {
				return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					crash()
					panic(http.ErrAbortHandler)
				})
			})
			f.set(func(next http.Handler) http.Handler {
				return first(1, atChallenge, func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						published = tree(t, filepath.Join(root, challengeFolder))
						next.ServeHTTP(w, r)
					})
				})(stop(next))
			})
			cert := b.cert("www", "a.example.com")
			cert.Solver = "webroot.site"
			if _, err := b.client.Issue(ctx, cert, renew.Version{}, renew.Missing); err == nil || len(published) != 1 {
				t.Fatalf("%v, published: %v", err, published)
			}
			folder := filepath.Join(root, challengeFolder)
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			// As SIGKILL leaves it; and a file of somebody else's.
			for _, left := range []string{published[0], "." + published[0] + ".tmp", "theirs"} {
				if err := os.WriteFile(filepath.Join(folder, left), []byte("left"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			b.rebuild()
			b.issue(cert, renew.Version{})
			if got := tree(t, folder); !slices.Equal(got, []string{"theirs"}) {
				t.Errorf("left behind: %v", got)
			}
		})
	}
}

func TestIssuingThroughADocumentRoot(t *testing.T) {
	b, root := startSite(t, nil)
	cert := b.cert("www", "a.example.com", "b.example.com", "c.example.com")
	cert.Solver = "webroot.site"
	b.issue(cert, renew.Version{})
	if got := tree(t, root); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
	b.opts.Solvers["webroot.site"] = config.Solver{Type: "webroot", Name: "site", Path: filepath.Join(root, "gone")}
	b.rebuild()
	if f := b.refuse(b.cert2(cert), renew.Version{}); f.Class != renew.Local {
		t.Errorf("%s: %v", f.Class, f)
	}
}

// cert2 is the certificate with another name, so that no authorization is left.
func (b *bench) cert2(cert renew.Cert) renew.Cert {
	cert.Name, cert.Names = "other", []string{"d.example.com"}
	return cert
}
