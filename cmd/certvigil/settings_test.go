package main

import (
	"strconv"
	"strings"
	"text/template"
)

// settings is a configuration of the agent.
type settings struct {
	State, Socket, Directory, Trust, HTTP string
	Sites                                 []site
	Test, Reload                          []string // the hook's; no hook without Reload
	Timeout                               string   // the hook's
	Page                                  string   // the status page's address; none where empty
	Resolver                              string   // the DNS server that preflights ask
	HTTPPort                              int      // where the CA looks for http-01 answers
	Issuer                                string   // more of the issuer block, in HCL
	More                                  string   // more blocks, in HCL
}

// site is one certificate block.
type site struct {
	Name      string
	Names     []string
	Endpoint  string
	KeyType   string
	Issuers   string // of a list, in HCL; the only one where empty
	Fullchain string // of an output; none where empty
	Key       string
	Outputs   string // more install blocks, in HCL
	OnChange  string
	Solver    string // a reference; the only one where empty
	More      string // more of the block, in HCL
}

var configuration = template.Must(template.New("certvigil.hcl").Funcs(template.FuncMap{
	"q": strconv.Quote,
	"list": func(words []string) string {
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = strconv.Quote(w)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	},
}).Parse(`agent {
  state_dir = {{q .State}}
  socket    = {{q .Socket}}
  resolver  = {{q .Resolver}}
{{- if .Page}}
  listen    = {{q .Page}}
{{- end}}
}

issuer "test" {
  directory   = {{q .Directory}}
  contact     = ["ops@example.com"]
  agree_terms = true
  trust_roots = {{q .Trust}}
  http_port   = {{.HTTPPort}}
  {{.Issuer}}
}

solver "http" "main" {
  listen = [{{q .HTTP}}]
}
{{$hook := .Reload}}{{range .Sites}}
certificate {{q .Name}} {
  names = {{list .Names}}
{{- if .Issuers}}
  issuers = [{{.Issuers}}]
{{- end}}
{{- if .Solver}}
  solver = {{.Solver}}
{{- end}}
{{- if .KeyType}}
  key {
    type = {{q .KeyType}}
  }
{{- end}}
{{- if .OnChange}}
  on_change = {{q .OnChange}}
{{- end}}
{{- if .Fullchain}}
  install "pem" {
    fullchain = {{q .Fullchain}}
    key       = {{q .Key}}
    mode      = "0600"
  }
{{- end}}
{{- if .Outputs}}
  {{.Outputs}}
{{- end}}
{{- if $hook}}
  hooks = [hook.nginx]
{{- end}}
{{- if .Endpoint}}
  endpoint {{q .Endpoint}} {}
{{- end}}
  {{.More}}
}
{{end}}
{{- if .Reload}}
hook "nginx" {
{{- if .Test}}
  test    = {{list .Test}}
{{- end}}
  timeout = {{q .Timeout}}
  reload {
    command = {{list .Reload}}
  }
}
{{- end}}
{{.More}}
`))
