package stage

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/template"
)

// Config is a configuration of the agent as an operator of one nginx would
// write it.
type Config struct {
	StateDir   string
	Socket     string
	Listen     string // the status page's host:port; empty means none
	Directory  string // of the CA
	TrustRoots string // a file
	HTTP       string // where http-01 is answered
	HTTPPort   int    // where the CA looks for it
	Resolver   string // the DNS server that preflights ask
	Certs      []ConfigCert
	Test       []string // the hook's
	Reload     []string
}

// ConfigCert is one certificate block.
type ConfigCert struct {
	Name      string
	Names     []string
	Endpoint  string // host:port
	Fullchain string // an output beside live/<name>; none where empty
	Key       string
}

var configText = template.Must(template.New("certvigil.hcl").Funcs(template.FuncMap{
	"q": quote, "list": quoteList,
}).Parse(`agent {
  state_dir = {{q .StateDir}}
  socket    = {{q .Socket}}
{{- if .Resolver}}
  resolver  = {{q .Resolver}}
{{- end}}
{{- if .Listen}}
  listen    = {{q .Listen}}
{{- end}}
}

issuer "demo" {
  directory   = {{q .Directory}}
  contact     = ["ops@example.com"]
  agree_terms = true
  trust_roots = {{q .TrustRoots}}
{{- if .HTTPPort}}
  http_port   = {{.HTTPPort}}
{{- end}}
}

solver "http" "main" {
  listen = [{{q .HTTP}}]
}
{{range .Certs}}
certificate {{q .Name}} {
  names = {{list .Names}}
{{- if .Fullchain}}

  install "pem" {
    fullchain = {{q .Fullchain}}
    key       = {{q .Key}}
    mode      = "0600"
  }
{{- end}}

  hooks = [hook.nginx]
  endpoint {{q .Endpoint}} {}
}
{{end}}
hook "nginx" {
{{- if .Test}}
  test    = {{list .Test}}
{{- end}}
  timeout = "30s"
  reload {
    command = {{list .Reload}}
  }
}
`))

// Text returns the configuration in HCL.
func (c Config) Text() ([]byte, error) {
	var b bytes.Buffer
	if err := configText.Execute(&b, c); err != nil {
		return nil, fmt.Errorf("rendering the agent's configuration: %w", err)
	}
	return b.Bytes(), nil
}

// WriteFile replaces path with the configuration in one step: an agent that
// watches the file never reads half of it.
func (c Config) WriteFile(path string) error {
	text, err := c.Text()
	if err != nil {
		return err
	}
	beside := path + ".new"
	if err := os.WriteFile(beside, text, 0o600); err != nil {
		return fmt.Errorf("writing the agent's configuration: %w", err)
	}
	if err := os.Rename(beside, path); err != nil {
		return fmt.Errorf("replacing the agent's configuration: %w", err)
	}
	return nil
}

// quote writes s as an HCL string without templates.
func quote(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strconv.Quote(s))
}

func quoteList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
