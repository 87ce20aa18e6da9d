package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
)

// decoder turns the bodies of all files into one Config.
type decoder struct {
	*report
	opts      options
	cfg       *Config
	locals    map[string]*local
	labels    map[string]map[string]place // by kind of block; also of those that turn out broken
	slipped   map[string]bool             // kinds of blocks of which one was not understood
	used      map[string]bool             // files and folders that values came from
	secrets   int                         // how often a function has returned a secret
	certs     map[string]place            // every certificate, those of for_each one by one
	outputs   map[string]place            // every output path
	listeners map[string]place            // every address of a solver
	sets      map[string]named            // every set of names
	windows   map[string]renew.Window     // of hooks that have one
	held      map[string]string           // by a hook for HAProxy, the certificate that it is for

	directories map[string]place // those of the output paths that are switched as a whole
}

// named is something with a name, and where it stands.
type named struct {
	name string
	place
}

func newDecoder(r *report, opts options) *decoder {
	return &decoder{
		report: r,
		opts:   opts,
		cfg: &Config{
			Issuers: map[string]Issuer{},
			Solvers: map[string]Solver{},
			Hooks:   map[string]hooks.Hook{},
		},
		locals:    map[string]*local{},
		labels:    map[string]map[string]place{"issuer": {}, "solver": {}, "hook": {}, "certificate": {}},
		used:      map[string]bool{},
		slipped:   map[string]bool{},
		certs:     map[string]place{},
		outputs:   map[string]place{},
		listeners: map[string]place{},
		sets:      map[string]named{},
		windows:   map[string]renew.Window{},
		held:      map[string]string{},

		directories: map[string]place{},
	}
}

func topSchema() schema {
	return schema{
		what: "the configuration",
		blocks: []header{
			{"agent", nil}, {"issuer", []string{"NAME"}}, {"solver", []string{"TYPE", "NAME"}},
			{"certificate", []string{"NAME"}}, {"hook", []string{"NAME"}}, {"locals", nil},
		},
		later: []later{
			{header: header{"watch", []string{"NAME"}}, advice: "Take the block out: this version guards only the certificates that it renews itself."},
			{header: header{"alert", []string{"NAME"}}, advice: "Take the block out, and let your monitoring look at the exit code of certvigil status."},
			{header: header{"heartbeat", []string{"NAME"}}, advice: "Take the block out, and let your monitoring look at the exit code of certvigil status."},
		},
	}
}

// decode reads all blocks. The order is that of need: labels and locals before
// what refers to them, certificates last.
func (d *decoder) decode() *Config {
	top := d.top()
	for _, kind := range []string{"issuer", "solver", "hook", "certificate"} {
		top.blocks[kind] = d.declare(kind, top.blocks[kind])
	}
	for _, b := range top.blocks["locals"] {
		d.declareLocals(b)
	}
	root := scope{decoder: d}
	root.agent(d.one(top, "agent"))
	for _, b := range top.blocks["issuer"] {
		root.issuer(b)
	}
	for _, b := range top.blocks["solver"] {
		root.solver(b)
	}
	for _, b := range top.blocks["hook"] {
		root.hook(b)
	}
	for _, name := range slices.Sorted(maps.Keys(d.locals)) { // also those that nothing uses
		if l := d.locals[name]; l.state == untouched {
			d.local(name, l.rng)
		}
	}
	for _, b := range top.blocks["certificate"] {
		root.certificates(b)
	}
	d.finish(top)
	return d.cfg
}

// top returns the blocks of all files. A file that did not parse may have fewer,
// or no body at all.
func (d *decoder) top() contents {
	top := contents{attrs: map[string]*hcl.Attribute{}, blocks: map[string][]*hcl.Block{}}
	for _, src := range d.files {
		if src.body == nil {
			continue
		}
		c := d.read(src.body, hcl.Range{Filename: src.name}, topSchema())
		for kind, blocks := range c.blocks {
			top.blocks[kind] = append(top.blocks[kind], blocks...)
		}
		maps.Copy(d.slipped, c.slipped)
	}
	return top
}

// agentAlone reads the agent block, and of the others only what it refers to.
func (d *decoder) agentAlone() {
	top := d.top()
	for _, b := range top.blocks["locals"] {
		d.declareLocals(b)
	}
	scope{decoder: d}.agent(d.one(top, "agent"))
}

// finish makes the checks that need everything.
func (d *decoder) finish(top contents) {
	slices.SortFunc(d.cfg.Certs, byName)
	if len(top.blocks["certificate"]) > 0 || d.failed() {
		return
	}
	rng := hcl.Range{}
	if len(d.files) > 0 {
		rng.Filename = d.files[0].name
	}
	d.warn(rng, "no certificate is configured", `There is nothing to keep: write certificate "NAME" { names = ["example.com"] }, and an issuer, a solver and a hook for it.`)
}

// declare notes the labels of a kind and returns the blocks without those whose
// label was taken.
func (d *decoder) declare(kind string, blocks []*hcl.Block) []*hcl.Block {
	var kept []*hcl.Block
	for _, b := range blocks {
		label, rng := b.Labels[len(b.Labels)-1], b.LabelRanges[len(b.LabelRanges)-1]
		if !validLabel(label) {
			d.fail(rng, fmt.Sprintf("%s can't be the name of %s", quoted(label), article(kind)),
				"Use lower-case letters, digits, dots, hyphens and underscores, at most 63, and begin with a letter or digit.")
		}
		if kind == "solver" {
			label = b.Labels[0] + "." + label
		}
		if first := d.labels[kind][label]; first.known() {
			d.fail(rng, fmt.Sprintf("there are two %ss called %s", kind, quoted(label)), fmt.Sprintf("Rename one; the first is at %s.", at(hcl.Range(first))))
			continue
		}
		d.labels[kind][label] = place(rng)
		kept = append(kept, b)
	}
	return kept
}

// validLabel tells whether a label may name a folder and a systemd socket.
func validLabel(label string) bool {
	if label == "" || len(label) > 63 || !lowerOrDigit(rune(label[0])) {
		return false
	}
	for _, r := range label {
		if !lowerOrDigit(r) && r != '.' && r != '_' && r != '-' {
			return false
		}
	}
	return true
}

func lowerOrDigit(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }

func (d *decoder) declareLocals(b *hcl.Block) {
	if native, ok := b.Body.(*hclsyntax.Body); ok {
		for _, inner := range native.Blocks {
			d.fail(inner.TypeRange, "locals has no blocks", fmt.Sprintf("Write %s = { … }, with an equals sign.", inner.Type))
		}
		if len(native.Blocks) > 0 {
			return
		}
	}
	attrs, diags := b.Body.JustAttributes()
	d.foreign(diags)
	for name, attr := range attrs {
		if first := d.locals[name]; first != nil {
			d.fail(attr.NameRange, fmt.Sprintf("there are two locals called %s", name), fmt.Sprintf("Rename one; the first is at %s.", at(first.rng)))
			continue
		}
		d.locals[name] = &local{expr: attr.Expr, rng: attr.NameRange}
	}
}
