package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/renew/install"
)

func TestPowersOfAUnit(t *testing.T) {
	const all = "cap_chown cap_dac_override cap_dac_read_search cap_fowner cap_kill"
	for _, tc := range []struct {
		name string
		unit map[string]string
		uid  int
		gids []int
		caps string
	}{
		{"root", map[string]string{"CapabilityBoundingSet": all}, 0, []int{0}, all},
		{"root, with few", map[string]string{"CapabilityBoundingSet": "cap_chown"}, 0, []int{0}, "cap_chown"},
		{"a user", map[string]string{"User": "nobody", "CapabilityBoundingSet": all}, 65534, []int{65534}, ""},
		{"a user by number", map[string]string{"User": "65534", "CapabilityBoundingSet": all}, 65534, []int{65534}, ""},
		{"a user with some", map[string]string{"User": "nobody", "CapabilityBoundingSet": all, "AmbientCapabilities": "cap_chown cap_fowner"}, 65534, []int{65534}, "cap_chown cap_fowner"},
		{"some that are bounded", map[string]string{"User": "nobody", "CapabilityBoundingSet": "cap_fowner", "AmbientCapabilities": "cap_chown cap_fowner"}, 65534, []int{65534}, "cap_fowner"},
		{"more groups", map[string]string{"User": "nobody", "Group": "7005", "SupplementaryGroups": "adm 7006"}, 65534, []int{4, 7005, 7006, 65534}, ""},
	} {
		p, ok := powersOf(tc.unit)
		slices.Sort(p.Groups)
		var caps []string
		for _, c := range []string{"cap_chown", "cap_dac_override", "cap_dac_read_search", "cap_fowner"} {
			if p.Caps&install.CapsNamed([]string{c}) != 0 {
				caps = append(caps, c)
			}
		}
		if want := install.CapsNamed(strings.Fields(tc.caps)); !ok || p.UID != tc.uid || !slices.Equal(p.Groups, tc.gids) || p.Caps != want {
			t.Errorf("%s: %+v, %q", tc.name, p, caps)
		}
	}
	if _, ok := powersOf(map[string]string{"User": "no-such-user-here"}); ok {
		t.Error("a user who does not exist has powers")
	}
}
