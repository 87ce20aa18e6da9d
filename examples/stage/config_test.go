package stage_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/examples/stage"
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
	path := filepath.Join(t.TempDir(), "c.hcl")
	if err := c.WriteFile(path); err != nil {
		t.Fatal(err)
	}
}
