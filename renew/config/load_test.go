package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
)

// minimal is a configuration without a fault; certificates are put after it.
const minimal = `
issuer "le" {
  directory   = "letsencrypt"
  agree_terms = true
}
solver "http" "main" {}
`

const minimalCert = `
certificate "www" {
  names = ["example.com"]
}
`

func mustLoad(t *testing.T, path string) *Config {
	t.Helper()
	cfg, diags := Load(path)
	if cfg == nil || diags.Len() > 0 {
		t.Fatalf("loading %s:\n%s", path, diags.String())
	}
	return cfg
}

// loadText loads text as a file of its own with the mode 0644.
func loadText(t *testing.T, text string) (*Config, Diagnostics) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.hcl")
	writeFile(t, path, text, 0o644)
	return Load(path)
}

func goodFixtures(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/good")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if filepath.Ext(path) == ".secret" {
			return os.Chmod(path, 0o600)
		}
		return os.Chmod(path, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "google-eab"), "Z29vZ2xl==\n", 0o600)
	writeFile(t, filepath.Join(dir, "store-password"), "a password\n", 0o600)
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	t.Setenv("CERTVIGIL_TEST_EAB", "ZW52LWVhYg")
	return dir
}

func TestEveryFieldIsRead(t *testing.T) {
	dir := goodFixtures(t)
	cfg := mustLoad(t, filepath.Join(dir, "full.hcl"))
	roots, err := os.ReadFile(filepath.Join(dir, "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	const google, internal = "https://dv.acme-v02.api.pki.goog/directory", "https://ca.internal/acme/acme/directory"
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	nights, err := renew.ParseWindow("Mon-Fri 02:00-05:00, Sat 22:00-04:00", berlin)
	if err != nil {
		t.Fatal(err)
	}
	le := renew.Issuer{Name: "letsencrypt", Directory: "https://acme-v02.api.letsencrypt.org/directory", Profile: "tlsserver"}
	plain := func(name string, issuer, directory string, names ...string) renew.Cert {
		return renew.Cert{Name: name, Names: names, Issuers: []renew.Issuer{{Name: issuer, Directory: directory}}, Solver: "webroot.site", KeyType: renew.EC256, ARI: true, Rescue: true}
	}
	want := &Config{
		Path:  filepath.Join(dir, "full.hcl"),
		Agent: Agent{StateDir: "/srv/certvigil", Socket: "/run/cv/control.sock", Listen: "127.0.0.1:9433", Resolver: "[::1]:53"},
		Issuers: map[string]Issuer{
			"letsencrypt": {Name: "letsencrypt", Directory: le.Directory, WellKnown: "letsencrypt", Contact: []string{"ops@example.com", "night@example.com"}, AgreeTerms: true, Profile: "tlsserver"},
			"google":      {Name: "google", Directory: google, WellKnown: "google", Contact: []string{"a@example.com", "b@example.com"}, AgreeTerms: true, EAB: EAB{"kid-1", NewSecret("Z29vZ2xl")}},
			"internal":    {Name: "internal", Directory: internal, AgreeTerms: true, EAB: EAB{"kid-2", NewSecret("c2hoaC1maWxl")}, TrustRoots: roots, HTTPPort: 5002},
			"internal.2":  {Name: "internal.2", Directory: "https://ca.internal:8443/acme?x=1", AgreeTerms: true, EAB: EAB{"kid-3", NewSecret("ZW52LWVhYg")}},
		},
		Solvers: map[string]Solver{
			"http.main":    {Type: "http", Name: "main", Listen: []string{":80"}},
			"http.alt":     {Type: "http", Name: "alt", Listen: []string{"127.0.0.1:8080", "[::1]:8080"}},
			"webroot.site": {Type: "webroot", Name: "site", Path: "/tmp"},
		},
		Hooks: map[string]hooks.Hook{
			"nginx": {Name: "nginx", Test: []string{"nginx", "-t"}, Timeout: 90 * time.Second, Each: true, Reload: hooks.Reload{Unit: "nginx.service", TryRestart: true}},
			"pid":   {Name: "pid", TestUnit: "certvigil-test.service", Timeout: 30 * time.Second, Reload: hooks.Reload{PIDFile: "/run/haproxy.pid", Signal: "USR2", Process: "/usr/sbin/haproxy"}},
			"api":   {Name: "api", Timeout: 30 * time.Second, Reload: hooks.Reload{HAProxy: "/run/haproxy/admin.sock", Certificate: "@site/www.pem"}},
			"argv":  {Name: "argv", Timeout: 30 * time.Second, Reload: hooks.Reload{Command: []string{"/usr/sbin/nginx", "-s", "reload"}}},
		},
		Certs: []renew.Cert{
			plain("file-one.json", "internal", internal, "one.example", "two.example"),
			plain("set-a.example", "internal", internal, "a.example.org", "a.example"),
			plain("set-b.example", "internal", internal, "b.example.org", "b.example"),
			plain("site-blog", "google", google, "example.org", "www.example.org"),
			plain("site-shop", "google", google, "shop.example", "www.shop.example"),
			{
				Name:    "www",
				Names:   []string{"www.example.com", "xn--bcher-kva.example", "2001:db8::1", "extra.example.org"},
				Issuers: []renew.Issuer{le, {Name: "internal.2", Directory: "https://ca.internal:8443/acme?x=1"}},
				Solver:  "http.main", KeyType: renew.RSA3072, ReuseKey: true, LifetimeLeft: 0.33, Window: nights, OnChange: renew.Restoring,
				Outputs: []renew.Output{
					{Format: "pem", Key: "/etc/nginx/tls/www.key", Cert: "/etc/nginx/tls/www.leaf", Chain: "/etc/nginx/tls/www.chain", Fullchain: "/etc/nginx/tls/www.crt", Owner: "root", Group: "www-data", Mode: 0o640},
					{Format: "pem", Fullchain: "/etc/nginx/tls/public.crt", Mode: 0o644},
					{Format: "pem", Directory: "/etc/tls/www", Mode: 0o600},
					{Format: "bundle", Path: "/etc/haproxy/certs/www.pem", Parts: []string{"key", "fullchain"}, Mode: 0o600, ACL: []string{"u:haproxy:r", "g:ssl-cert:r"}},
					{Format: "bundle", Path: "/etc/lighttpd/www.pem", Parts: []string{"cert", "key", "chain"}, Mode: 0o600},
					{Format: "pkcs12", Path: "/etc/jetty/www.p12", Password: NewSecret("a password"), Mode: 0o600},
					{Format: "pkcs12", Path: "/etc/old/www.p12", Password: NewSecret("a password"), Legacy: true, Mode: 0o600},
					{Format: "jks", Path: "/etc/tomcat/www.jks", Password: NewSecret("a password"), Alias: "www", Owner: "tomcat", Mode: 0o600},
					{Format: "jks", Path: "/etc/tomcat/other.jks", Password: NewSecret("a password"), Alias: "tomcat", Mode: 0o600},
					{Format: "der", Cert: "/etc/x/www.crt.der", Key: "/etc/x/www.key.der", Mode: 0o600},
				},
				Hooks: []string{"nginx", "pid"}, HookWindows: map[string]renew.Window{"pid": nights},
				Endpoints: []renew.Endpoint{
					{Address: "127.0.0.1:443", Protocol: "tls"}, {Address: "[::1]:8443", Protocol: "tls", Names: []string{"www.example.com"}},
					{Address: "[::1]:8443", Protocol: "tls", NoSNI: true, ProxyProtocol: 2, ALPN: []string{"h2", "http/1.1"}, TrustRoots: filepath.Join(dir, "root.pem"), Hooks: []string{"pid"}},
					{Address: "unix:/run/imap.sock", Protocol: "imap"},
				},
			},
		},
	}
	for _, name := range []string{"contacts.txt", "eab.secret", "full.hcl", "google-eab", "root.pem", "sites", "sites/one.json", "store-password"} {
		want.Sources = append(want.Sources, filepath.Join(dir, name))
	}
	got, expected := reflect.ValueOf(*cfg), reflect.ValueOf(*want)
	for i := range got.NumField() {
		if !reflect.DeepEqual(got.Field(i).Interface(), expected.Field(i).Interface()) {
			t.Errorf("%s is\n%+v\nwant\n%+v", got.Type().Field(i).Name, got.Field(i), expected.Field(i))
		}
	}
	if key := cfg.Issuers["google"].EAB.HMACKey.Reveal(); key != "Z29vZ2xl" {
		t.Errorf("the hmac_key is %q", key)
	}
}

func TestJSONIsTheSameLanguage(t *testing.T) {
	cfg := mustLoad(t, filepath.Join(goodFixtures(t), "same.hcl.json"))
	if len(cfg.Certs) != 2 || cfg.Certs[1].Name != "site-b" {
		t.Fatalf("certificates %+v", cfg.Certs)
	}
	b := cfg.Certs[1]
	if !slices.Equal(b.Names, []string{"b.example"}) || b.Outputs[0].Key != "/etc/tls/b.key" || b.KeyType != renew.EC384 ||
		b.Solver != "http.main" || b.Issuers[0].Name != "le" || !slices.Equal(b.Hooks, []string{"unit", "argv"}) || b.Endpoints[0].Address != "127.0.0.1:443" {
		t.Errorf("certificate %+v", b)
	}
	if h := cfg.Hooks["unit"]; h.TestUnit != "t.service" {
		t.Errorf("hook %+v", h)
	}
	if h := cfg.Hooks["argv"]; !slices.Equal(h.Test, []string{"nginx", "-t"}) || h.Timeout != 5*time.Second {
		t.Errorf("hook %+v", h)
	}
}

func TestDefaults(t *testing.T) {
	cfg, diags := loadText(t, minimal+minimalCert)
	if diags.Len() > 0 {
		t.Fatal(diags.String())
	}
	if cfg.Agent != (Agent{StateDir: "/var/lib/certvigil", Socket: "/run/certvigil/control.sock"}) {
		t.Errorf("agent %+v", cfg.Agent)
	}
	c := cfg.Certs[0]
	if c.KeyType != renew.EC256 || !c.ARI || c.LifetimeLeft != 0 || c.Solver != "http.main" || c.Issuers[0].Name != "le" {
		t.Errorf("certificate %+v", c)
	}
	if o := cfg.Solvers["http.main"].Listen; !slices.Equal(o, []string{":80"}) {
		t.Errorf("listeners %q", o)
	}
}

func TestDirectoryIsReadInLexicalOrder(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "20-cert.hcl"), minimalCert, 0o644)
	writeFile(t, filepath.Join(dir, "10-base.hcl"), "\xef\xbb\xbf"+strings.ReplaceAll(minimal, "\n", "\r\n"), 0o644)
	writeFile(t, filepath.Join(dir, "30-hook.hcl.json"), `{"hook": {"h": {"reload": {"unit": "a.service"}}}}`, 0o644)
	writeFile(t, filepath.Join(dir, ".#20-cert.hcl"), "not read {", 0o644)
	writeFile(t, filepath.Join(dir, "20-cert.hcl~"), "not read {", 0o644)
	if err := os.Mkdir(filepath.Join(dir, "folder.hcl"), 0o755); err != nil {
		t.Fatal(err)
	}
	cfg := mustLoad(t, dir)
	if len(cfg.Certs) != 1 || len(cfg.Hooks) != 1 || len(cfg.Sources) != 4 || !slices.Contains(cfg.Sources, dir) {
		t.Errorf("%+v", cfg)
	}
	writeFile(t, filepath.Join(dir, "40-again.hcl"), "agent {}\n"+minimal, 0o644)
	writeFile(t, filepath.Join(dir, "50-again.hcl"), "agent {}\n", 0o644)
	_, diags := Load(dir)
	for _, want := range []string{"10-base.hcl:2.", "40-again.hcl:1.", "10-base.hcl:6."} {
		if !strings.Contains(diags.String(), want) {
			t.Errorf("the other place, %s, is not named in\n%s", want, diags.String())
		}
	}
}

func TestDefaultPlaces(t *testing.T) {
	dir := t.TempDir()
	opts := options{file: filepath.Join(dir, "certvigil.hcl"), folder: filepath.Join(dir, "conf.d")}
	if cfg, _, diags := load("", opts); cfg != nil || !strings.Contains(diags.Error(), "certvigil.hcl: error: the configuration can't be read: no such file") {
		t.Fatalf("without a file: %v", diags)
	}
	writeFile(t, opts.file, minimal, 0o644)
	if cfg, _, diags := load("", opts); cfg == nil || diags.Len() != 1 {
		t.Fatalf("without a folder: %s", diags.String())
	}
	if err := os.Mkdir(opts.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(opts.folder, "www.hcl"), minimalCert, 0o644)
	cfg, _, diags := load("", opts)
	if diags.Len() > 0 || len(cfg.Certs) != 1 || cfg.Path != "" {
		t.Fatalf("%+v\n%s", cfg, diags.String())
	}
	want := []string{opts.file, opts.folder, filepath.Join(opts.folder, "www.hcl")}
	if !slices.Equal(cfg.Sources, want) {
		t.Errorf("sources %q, want %q", cfg.Sources, want)
	}
}

func TestUnreadableFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	fifo, large := filepath.Join(dir, "fifo.hcl"), filepath.Join(dir, "large.hcl")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	writeFile(t, large, strings.Repeat("# x\n", maxFile/4+1), 0o644)
	for path, want := range map[string]string{
		fifo:                       "it is not a regular file",
		large:                      "it is larger than 1024 KiB",
		filepath.Join(dir, "none"): "no such file or directory",
	} {
		if cfg, diags := Load(path); cfg != nil || !strings.Contains(diags.Error(), want) {
			t.Errorf("%s: %v, want %q", path, diags, want)
		}
	}
}

func TestRelativeSourcesAreAbsolute(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "c.hcl", minimal+minimalCert, 0o644)
	for _, path := range mustLoad(t, "c.hcl").Sources {
		if !filepath.IsAbs(path) {
			t.Errorf("source %q", path)
		}
	}
}

func TestWarningsLeaveTheConfigurationUsable(t *testing.T) {
	cfg, diags := loadText(t, minimal+"agent {\n  listen = \":9433\"\n}\n")
	if cfg != nil || !diags.HasErrors() {
		t.Errorf("an address without a host: %s", diags.String())
	}
	cfg, diags = loadText(t, minimal+"agent {\n  listen = \"192.0.2.1:9433\"\n}\n")
	if cfg == nil || diags.HasErrors() || diags.Err() != nil || diags.Len() != 2 {
		t.Errorf("%s", diags.String())
	}
}

func TestWellKnownDirectories(t *testing.T) {
	for _, ca := range wellKnownCAs() {
		url, err := DirectoryURL(ca.name)
		if err != nil || !strings.HasPrefix(url, "https://") {
			t.Errorf("%s: %q, %v", ca.name, url, err)
		}
		cfg, diags := loadText(t, fmt.Sprintf("issuer \"x\" {\n  directory = %q\n  agree_terms = true\n}\n", url+"/"))
		if diags.HasErrors() || cfg.Issuers["x"].WellKnown != ca.name {
			t.Errorf("%s by its URL: %s", ca.name, diags.String())
		}
	}
	if _, err := DirectoryURL("buypass-test"); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("buypass: %v", err)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "20d": 480 * time.Hour, "1d12h": 36 * time.Hour, "1h5m": 65 * time.Minute, "250ms": 250 * time.Millisecond,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "1.5d", "-1d", "1d-1h", "99999d", "1d2", "x"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}
