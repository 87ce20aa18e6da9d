package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// element is one turn of for_each.
type element struct {
	key   string
	value cty.Value
}

// forEach returns the elements of a map, an object or a set of strings, sorted
// by key. Keys become names, so that they can't be secret.
func (s scope) forEach(value cty.Value, rng hcl.Range) []element {
	value, marks := value.Unmark()
	if hasSecret(marks) {
		s.fail(rng, "for_each is a secret, and its keys would be shown", "Write the keys out.")
		return nil
	}
	var all []element
	switch t := value.Type(); {
	case t.IsMapType() || t.IsObjectType():
		for key, v := range value.AsValueMap() {
			all = append(all, element{key, v})
		}
	case t.IsSetType() && t.ElementType() == cty.String:
		for _, v := range value.AsValueSlice() {
			if v.IsNull() {
				s.fail(rng, "for_each has an element without a value", "Write a string.")
				return nil
			}
			all = append(all, element{v.AsString(), v})
		}
	case t.IsTupleType() || t.IsListType() || t.IsSetType():
		s.fail(rng, "for_each is a list, whose elements have no keys", "Write toset([…]) around a list of strings, or a map { key = value }.")
	default:
		s.fail(rng, fmt.Sprintf("for_each is a map or a set of strings, and this is %s", kind(value)), "Write a map { key = value }, or toset([\"…\"]).")
	}
	slices.SortFunc(all, func(a, b element) int { return strings.Compare(a.key, b.key) })
	return all
}
