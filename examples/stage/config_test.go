package stage_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew/config"
)

func TestTheConfigurationSaysWhatAReaderNeeds(t *testing.T) {
	c := stage.Config{
		StateDir: "/s", Socket: "/s.sock", Directory: "https://127.0.0.1:1/dir", TrustRoots: "/ca.pem", HTTP: "127.0.0.1:2",
		Certs:  []stage.ConfigCert{{Name: "www", Names: []string{"a.test", "b.test"}, Endpoint: "127.0.0.1:3"}},
		Reload: []string{"sh", "-c", `echo "${x}" %{y}`},
	}
	text, err := c.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`names = ["a.test", "b.test"]`,
		`endpoint "127.0.0.1:3" {}`,
		`command = ["sh", "-c", "echo \"$${x}\" %%{y}"]`,
		`hooks = [hook.nginx]`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	for _, unwanted := range []string{"listen    =", "install", "test "} {
		if slices.ContainsFunc(strings.Split(string(text), "\n"), func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), unwanted) }) {
			t.Errorf("%q is there although nobody asked for it:\n%s", unwanted, text)
		}
	}
}

func TestTheAgentLoadsTheConfigurationAsItWasMeant(t *testing.T) {
	dir := t.TempDir()
	c := stage.Config{
		StateDir: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "s.sock"), Listen: "127.0.0.1:4",
		Directory: "https://127.0.0.1:1/dir", TrustRoots: filepath.Join(dir, "ca.pem"), HTTP: "127.0.0.1:2",
		Certs: []stage.ConfigCert{{
			Name: "www", Names: []string{"a.example.test"}, Endpoint: "127.0.0.1:3",
			Fullchain: filepath.Join(dir, "a.crt"), Key: filepath.Join(dir, "a.key"),
		}},
		Test: []string{"true"}, Reload: []string{"sh", "-c", `echo "${x}" %{y}`},
	}
	if err := os.WriteFile(c.TrustRoots, selfSigned(t), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "c.hcl")
	if err := c.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	got, diags := config.Load(path)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	cert := got.Certs[0]
	if got.Agent.StateDir != c.StateDir || got.Agent.Listen != c.Listen || got.Issuers["demo"].Directory != c.Directory {
		t.Errorf("loaded %+v", got)
	}
	if cert.Endpoints[0].Address != "127.0.0.1:3" || cert.Outputs[0].Key != c.Certs[0].Key {
		t.Errorf("loaded %+v", cert)
	}
	if hook := got.Hooks["nginx"]; !slices.Equal(hook.Reload.Command, c.Reload) || !slices.Equal(hook.Test, c.Test) {
		t.Errorf("loaded %+v", hook)
	}
}

// selfSigned returns the PEM of some root.
func selfSigned(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	s := stage.Site{Names: []string{"ca.test"}, Fullchain: filepath.Join(dir, "crt"), Key: filepath.Join(dir, "key")}
	writePair(t, s)
	data, err := os.ReadFile(s.Fullchain)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
