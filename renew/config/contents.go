package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// schema is what may stand in one kind of block.
type schema struct {
	what   string   // "the configuration", "a certificate block"
	attrs  []string // arguments
	blocks []header // nested blocks
	later  []later  // parts of the language that this version does not have
}

// header is a nested block's type, and what its labels stand for.
type header struct {
	name   string
	labels []string
}

// later is a part of the language that is refused with a reason, so that
// nobody believes it works.
type later struct {
	header
	advice string
}

// contents is what does stand in a block.
type contents struct {
	attrs   map[string]*hcl.Attribute
	blocks  map[string][]*hcl.Block
	rng     hcl.Range       // of the block's header
	slipped map[string]bool // what a misspelled argument was most likely meant to be
}

func (s schema) block(name string) (header, bool) {
	i := slices.IndexFunc(s.blocks, func(h header) bool { return h.name == name })
	if i < 0 {
		return header{}, false
	}
	return s.blocks[i], true
}

// postponed returns the later part of this name, whether it is written as an
// argument or as a block.
func (s schema) postponed(name string) (later, bool) {
	i := slices.IndexFunc(s.later, func(l later) bool { return l.name == name })
	if i < 0 {
		return later{}, false
	}
	return s.later[i], true
}

// read sorts the parts of a block by the schema, and reports all that the
// schema does not have.
func (r *report) read(body hcl.Body, rng hcl.Range, s schema) contents {
	c := contents{attrs: map[string]*hcl.Attribute{}, blocks: map[string][]*hcl.Block{}, rng: rng, slipped: map[string]bool{}}
	if native, ok := body.(*hclsyntax.Body); ok {
		r.readNative(native, s, c)
	} else {
		r.readJSON(body, s, c)
	}
	return c
}

func (r *report) readNative(body *hclsyntax.Body, s schema, c contents) {
	for name, attr := range body.Attributes {
		_, isBlock := s.block(name)
		if l, ok := s.postponed(name); ok {
			r.unsupported(attr.NameRange, name, l.advice)
			continue
		}
		switch {
		case slices.Contains(s.attrs, name):
			c.attrs[name] = attr.AsHCLAttribute()
		case isBlock:
			r.fail(attr.NameRange, fmt.Sprintf("%s is a block, not an argument", name), fmt.Sprintf("Write %s { … }, without an equals sign.", name))
			c.slipped[name] = true
		default:
			r.unknown(attr.NameRange, name, "argument", s, c)
		}
	}
	for _, b := range body.Blocks {
		h, known := s.block(b.Type)
		if l, ok := s.postponed(b.Type); ok {
			r.unsupported(b.DefRange(), article(b.Type)+" block", l.advice)
			continue
		}
		switch {
		case known && len(b.Labels) == len(h.labels):
			c.blocks[b.Type] = append(c.blocks[b.Type], b.AsHCLBlock())
		case known:
			r.fail(b.DefRange(), wrongLabels(b.Type, len(h.labels)), fmt.Sprintf("Write %s.", h))
			c.slipped[b.Type] = true
		case slices.Contains(s.attrs, b.Type):
			r.fail(b.TypeRange, fmt.Sprintf("%s is an argument, not a block", b.Type), fmt.Sprintf("Write %s = …, with an equals sign.", b.Type))
			c.slipped[b.Type] = true
		default:
			r.unknown(b.TypeRange, b.Type, "block", s, c)
		}
	}
}

// readJSON leaves the telling of arguments from blocks to package hcl, since in
// JSON only a schema can tell them.
func (r *report) readJSON(body hcl.Body, s schema, c contents) {
	var want hcl.BodySchema
	for _, name := range s.attrs {
		want.Attributes = append(want.Attributes, hcl.AttributeSchema{Name: name})
	}
	for _, h := range s.blocks {
		want.Blocks = append(want.Blocks, hcl.BlockHeaderSchema{Type: h.name, LabelNames: h.labels})
	}
	for _, l := range s.later {
		want.Attributes = append(want.Attributes, hcl.AttributeSchema{Name: l.name})
	}
	content, _, diags := body.PartialContent(&want)
	r.foreign(diags)
	properties, _ := body.JustAttributes() // what is wrong with them was reported just now
	for name, attr := range properties {
		if _, isBlock := s.block(name); isBlock || slices.Contains(s.attrs, name) || name == "//" {
			continue
		}
		if _, ok := s.postponed(name); !ok {
			r.unknown(attr.NameRange, name, "property", s, c)
		}
	}
	for name, attr := range content.Attributes {
		if l, ok := s.postponed(name); ok {
			r.unsupported(attr.NameRange, name, l.advice)
			continue
		}
		c.attrs[name] = attr
	}
	for _, b := range content.Blocks {
		c.blocks[b.Type] = append(c.blocks[b.Type], b)
	}
}

func (r *report) unsupported(rng hcl.Range, what, advice string) {
	r.fail(rng, what+" is not supported by this version of certvigil", advice)
}

// unknown reports a name that the schema does not have. What it was most likely
// meant to be isn't reported as missing as well.
func (r *report) unknown(rng hcl.Range, name, kind string, s schema, c contents) {
	var all []string
	all = append(all, s.attrs...)
	for _, h := range s.blocks {
		all = append(all, h.name)
	}
	if near := nearest(name, all); near != "" {
		c.slipped[near] = true
	}
	r.fail(rng, fmt.Sprintf("%s has no %s called %s", s.what, kind, quoted(name)), didYouMean("", name, all, "Take it out."))
}

func wrongLabels(name string, want int) string {
	switch want {
	case 0:
		return fmt.Sprintf("a block of the type %s has no label", name)
	case 1:
		return fmt.Sprintf("a block of the type %s has one label", name)
	default:
		return fmt.Sprintf("a block of the type %s has %d labels", name, want)
	}
}

// String shows how the header is written.
func (h header) String() string {
	var b strings.Builder
	b.WriteString(h.name)
	for _, l := range h.labels {
		fmt.Fprintf(&b, " %q", l)
	}
	return b.String() + " { … }"
}

// has tells whether an argument or block is there, or was meant to be.
func (c contents) has(name string) bool {
	return c.attrs[name] != nil || len(c.blocks[name]) > 0 || c.slipped[name]
}

// one returns the block of a type that may stand once; nil where it does not.
func (r *report) one(c contents, name string) *hcl.Block {
	blocks := c.blocks[name]
	if len(blocks) == 0 {
		return nil
	}
	for _, b := range blocks[1:] {
		r.fail(b.DefRange, fmt.Sprintf("there is a second %s block", name), fmt.Sprintf("Put its arguments into the first one, at %s.", at(blocks[0].DefRange)))
	}
	return blocks[0]
}
