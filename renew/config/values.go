package config

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// item is a text and where it was written.
type item struct {
	text string
	rng  hcl.Range
}

// plain computes expr where a secret is out of place: it would be shown.
func (s scope) plain(expr hcl.Expression) (cty.Value, bool) {
	value, ok := s.eval(expr)
	if !ok {
		return cty.NilVal, false
	}
	value, marks := value.UnmarkDeep()
	if hasSecret(marks) {
		s.fail(expr.Range(), "a secret can't stand here, where it would be shown",
			"Write the value out; only hmac_key and password take what env() and credential() return. A file() that is no secret is readable by all: chmod o+r.")
		return cty.NilVal, false
	}
	return value, true
}

// text returns a string argument. The empty string is refused: it is what an
// unset variable leaves behind.
func (s scope) text(attr *hcl.Attribute) (item, bool) {
	value, ok := s.plain(attr.Expr)
	if !ok {
		return item{}, false
	}
	return s.asText(value, attr.Name, attr.Expr.Range())
}

func (s scope) asText(value cty.Value, name string, rng hcl.Range) (item, bool) {
	switch {
	case value.Type() == cty.Number:
		s.fail(rng, fmt.Sprintf("%s is a text, and this is a number", name), fmt.Sprintf("Put it in quotes: %q.", number(value)))
	case value.Type() != cty.String:
		s.fail(rng, fmt.Sprintf("%s is a text, and this is %s", name, kind(value)), "Write one string in quotes.")
	case value.IsNull():
		s.fail(rng, fmt.Sprintf("%s has no value here", name), "Write a string in quotes.")
	case value.AsString() == "":
		s.fail(rng, fmt.Sprintf("%s is empty", name), "Write a value, or take it out.")
	case strings.ContainsAny(value.AsString(), "\x00\r\n"):
		s.fail(rng, fmt.Sprintf("%s holds a line end", name), "Write it on one line; trimspace() takes the line end off what was read from a file.")
	default:
		return item{value.AsString(), rng}, true
	}
	return item{}, false
}

// texts returns an argument that is a list of strings. Each has a place of its
// own where the list is written out.
func (s scope) texts(attr *hcl.Attribute) ([]item, bool) {
	if parts, diags := hcl.ExprList(attr.Expr); !diags.HasErrors() {
		var items []item
		ok := true
		for _, part := range parts {
			value, fine := s.plain(part)
			if fine {
				var one item
				one, fine = s.asText(value, "an element of "+attr.Name, part.Range())
				items = append(items, one)
			}
			ok = ok && fine
		}
		return items, ok
	}
	value, ok := s.plain(attr.Expr)
	if !ok {
		return nil, false
	}
	return s.elements(value, attr.Name, attr.Expr.Range())
}

// elements returns the strings of a list that was computed.
func (s scope) elements(value cty.Value, name string, rng hcl.Range) ([]item, bool) {
	if t := value.Type(); !t.IsListType() && !t.IsSetType() && !t.IsTupleType() {
		advice := "Write strings in brackets, as in [\"…\", \"…\"]."
		if t == cty.String {
			advice = fmt.Sprintf("Put it in brackets: [%s].", quoted(value.AsString()))
		}
		s.fail(rng, fmt.Sprintf("%s is a list, and this is %s", name, kind(value)), advice)
		return nil, false
	}
	var items []item
	for _, element := range value.AsValueSlice() {
		one, ok := s.asText(element, "an element of "+name, rng)
		if !ok {
			return nil, false
		}
		items = append(items, one)
	}
	return items, true
}

// boolean returns an argument that is true or false.
func (s scope) boolean(attr *hcl.Attribute) (bool, bool) {
	value, ok := s.plain(attr.Expr)
	if !ok {
		return false, false
	}
	if value.Type() != cty.Bool {
		s.fail(attr.Expr.Range(), fmt.Sprintf("%s is true or false, and this is %s", attr.Name, kind(value)), "Write true or false, without quotes.")
		return false, false
	}
	return value.True(), true
}

// duration returns an argument that is a length of time, above zero.
func (s scope) duration(attr *hcl.Attribute) (time.Duration, bool) {
	value, ok := s.plain(attr.Expr)
	if !ok {
		return 0, false
	}
	rng := attr.Expr.Range()
	if value.Type() == cty.Number {
		s.fail(rng, fmt.Sprintf("%s is a bare number, which has no unit", attr.Name), fmt.Sprintf("Write the unit, in quotes: \"%ss\" for seconds, or m, h, d.", number(value)))
		return 0, false
	}
	one, ok := s.asText(value, attr.Name, rng)
	if !ok {
		return 0, false
	}
	d, err := ParseDuration(one.text)
	if err != nil || d <= 0 {
		s.fail(rng, fmt.Sprintf("%s is not a duration: %s", attr.Name, quoted(one.text)), "Write a number above zero and its unit, such as \"30s\", \"5m\", \"12h\" or \"20d\".")
		return 0, false
	}
	return d, true
}

// ParseDuration is time.ParseDuration with leading days of 24 hours: "20d",
// "1d12h".
func ParseDuration(text string) (time.Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n > 36500 {
		return 0, fmt.Errorf("reading the days of %s: not a number up to 36500", quoted(text))
	}
	total := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return total, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 {
		return 0, fmt.Errorf("reading what follows the days of %s: not a duration", quoted(text))
	}
	return total + more, nil
}

// number shows a number as it was most likely written.
func number(v cty.Value) string {
	if v.IsNull() {
		return "0"
	}
	var f big.Float
	f.Set(v.AsBigFloat())
	return f.Text('g', 10)
}

// kind says what a value is, to somebody who did not write a type.
func kind(v cty.Value) string {
	switch t := v.Type(); {
	case v.IsNull():
		return "null"
	case t == cty.String:
		return "a text"
	case t == cty.Number:
		return "a number"
	case t == cty.Bool:
		return "true or false"
	case t.IsListType(), t.IsTupleType(), t.IsSetType():
		return "a list"
	default:
		return "an object"
	}
}

// sentence begins words with a capital and ends them with a full stop.
func sentence(words string) string {
	if words == "" {
		return ""
	}
	if first, _, _ := strings.Cut(words, " "); !strings.Contains(first, "(") { // the name of a function stays
		words = strings.ToUpper(words[:1]) + words[1:]
	}
	if !strings.HasSuffix(words, ".") && !strings.HasSuffix(words, "?") {
		words += "."
	}
	return words
}
