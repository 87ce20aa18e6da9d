package config

import (
	"encoding/json"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"
)

// parse fills in the body of src and reports what keeps it from being read. It
// also notes the lines on which a secret is written out, since a diagnostic may
// point at any line.
func (r *report) parse(src *source) {
	if src.json {
		r.parseJSON(src)
		return
	}
	if rng, deep := tooDeep(src.text, src.name); deep {
		src.hideWritten(nil, false)
		r.fail(rng, "the text nests too deep here", fmt.Sprintf("Use at most %d levels, and shorter expressions; locals can hold the parts.", maxNesting))
		return
	}
	file, diags := hclsyntax.ParseConfig(src.text, src.name, hcl.InitialPos)
	body, _ := file.Body.(*hclsyntax.Body)
	src.hideWritten(body, !diags.HasErrors())
	r.foreign(withoutCascade(diags))
	src.body = file.Body
}

// withoutCascade drops an error that only repeats the one of the line before:
// one missing quote makes every following line a broken string.
func withoutCascade(diags hcl.Diagnostics) hcl.Diagnostics {
	var kept hcl.Diagnostics
	for _, d := range diags {
		repeated := false
		for _, before := range diags {
			repeated = repeated || before.Summary == d.Summary && before.Subject != nil && d.Subject != nil && before.Subject.Start.Line == d.Subject.Start.Line-1
		}
		if !repeated {
			kept = append(kept, d)
		}
	}
	return kept
}

func (r *report) parseJSON(src *source) {
	if jsonTooDeep(src.text, src.name) {
		r.fail(hcl.Range{Filename: src.name}, "the text nests too deep", fmt.Sprintf("Use at most %d levels, and shorter expressions.", maxNesting))
		return
	}
	file, diags := hcljson.Parse(src.text, src.name)
	whole := !diags.HasErrors() && json.Valid(src.text)
	src.hideWritten(nil, whole)
	r.foreign(diags)
	if !diags.HasErrors() && !whole {
		r.fail(hcl.Range{Filename: src.name}, "the file is not valid JSON", "Check it with a JSON tool.")
	}
	if file != nil {
		src.body = file.Body
	}
}
