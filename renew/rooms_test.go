package renew_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/certvigil/certvigil"

// rooms lists the packages in the order in which they may import each other:
// only those above. docs/architecture.md draws it.
var rooms = []string{
	"renew", "hooks", "renew/watch", "renew/keypair", "renew/config", "renew/store", "renew/install",
	"renew/issue", "renew/crl", "renew/probe", "renew/sockets", "renew/discover", "renew/preflight", "renew/agent", "renew/check", "renew/status",
	"renew/sim/oracle", "renew/sim",
	"renew/issue/acmetest", "renew/issue/faultproxy", "renew/store/disktest", "cmd/certvigil",
	"examples/prober", "examples/stage", "examples/demo", "examples/soak", "examples/idle", "examples/speed", "examples/sim",
	"examples/walk", "examples/nginx", "examples/apache", "examples/haproxy", "examples/postfix", "examples/dovecot",
	"examples/postgresql", "examples/six",
}

// soleImporter names the one room that may import a library: its traps die there.
var soleImporter = map[string]string{
	"github.com/go-acme/lego/v4":                  "renew/issue",
	"github.com/hashicorp/hcl/v2":                 "renew/config",
	"github.com/fsnotify/fsnotify":                "renew/watch",
	"github.com/coreos/go-systemd/v22/dbus":       "hooks",
	"github.com/godbus/dbus/v5":                   "hooks",
	"github.com/letsencrypt/pebble/v2":            "renew/issue/acmetest",
	"github.com/go-asn1-ber/asn1-ber":             "renew/probe",
	"software.sslmate.com/src/go-pkcs12":          "renew/keypair",
	"github.com/pavlo-v-chernykh/keystore-go/v4":  "renew/keypair",
	"github.com/spf13/cobra":                      "cmd/certvigil",
	"github.com/coreos/go-systemd/v22/daemon":     "cmd/certvigil",
	"github.com/coreos/go-systemd/v22/activation": "cmd/certvigil",
}

// pureImports is what package renew may import: nothing that does I/O.
var pureImports = []string{
	"cmp", "crypto/sha256", "encoding/hex", "errors", "fmt", "io/fs", "iter", "maps", "math", "net/netip", "slices", "strings",
	"time", "unicode", "unicode/utf8", "golang.org/x/net/idna", "golang.org/x/net/publicsuffix",
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list names %d packages only", len(all))
	}
	return all
}

func TestImportsPointUpward(t *testing.T) {
	for _, p := range packages(t) {
		room := strings.TrimPrefix(p.ImportPath, module+"/")
		place := slices.Index(rooms, room)
		if place < 0 {
			if !strings.HasPrefix(room, "packaging") {
				t.Errorf("%s is no room of the list: give it a place in docs/architecture.md and here", room)
			}
			continue
		}
		for _, imp := range p.Imports {
			other, ours := strings.CutPrefix(imp, module+"/")
			if ours && slices.Index(rooms, other) >= place {
				t.Errorf("%s imports %s, which stands below it", room, other)
			}
		}
	}
}

func TestEachLibraryHasOneImporter(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		room := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, imp := range p.Imports {
			for lib, sole := range soleImporter {
				if imp != lib && !strings.HasPrefix(imp, lib+"/") {
					continue
				}
				seen[lib] = true
				if room != sole {
					t.Errorf("%s imports %s, which is %s's alone", room, imp, sole)
				}
			}
		}
	}
	for _, lib := range []string{"github.com/go-acme/lego/v4", "github.com/hashicorp/hcl/v2", "github.com/fsnotify/fsnotify", "github.com/coreos/go-systemd/v22/dbus"} {
		if !seen[lib] {
			t.Errorf("nobody imports %s: the test looks at the wrong thing", lib)
		}
	}
}

func TestTheCoreIsPure(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module+"/renew" {
			continue
		}
		for _, imp := range p.Imports {
			if !slices.Contains(pureImports, imp) {
				t.Errorf("package renew imports %s", imp)
			}
		}
		return
	}
	t.Error("package renew was not listed")
}

func TestTheDaemonLinksNoTestCANorCloudSDK(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"/cmd/certvigil").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dep := range strings.Lines(string(out)) {
		for _, bad := range []string{"letsencrypt/pebble", "lego/v4/providers", "aws-sdk", "azure-sdk", "acmetest", "faultproxy", "testing\n"} {
			if strings.Contains(dep, bad) && dep != "internal/testing\n" {
				t.Errorf("the daemon links %s", dep)
			}
		}
	}
}
