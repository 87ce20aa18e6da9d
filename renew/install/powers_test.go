package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/renew"
)

func TestWhatIsLackingToGiveAnOutputAway(t *testing.T) {
	const me, other, mine, foreign = 7001, "7002", "7003", "7004"
	readable := filepath.Join(t.TempDir(), "readable")
	if err := os.WriteFile(readable, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	key := renew.Output{Key: "/not/there/a.key", Fullchain: "/not/there/a.crt"}
	for _, tc := range []struct {
		name   string
		caps   string
		change func(*renew.Output)
		lacks  string
		group  string
	}{
		{"nothing is configured", "", func(*renew.Output) {}, "", ""},
		{"its own owner", "", func(o *renew.Output) { o.Owner = "7001" }, "", ""},
		{"a group of its own", "", func(o *renew.Output) { o.Group = mine }, "", ""},
		{"another group", "", func(o *renew.Output) { o.Group = foreign }, "CAP_CHOWN", foreign},
		{"another group, with the capability", "CAP_CHOWN", func(o *renew.Output) { o.Group = foreign }, "", ""},
		{"another owner", "", func(o *renew.Output) { o.Owner = other }, "CAP_CHOWN CAP_FOWNER CAP_DAC_READ_SEARCH", ""},
		{"another owner, and it may be given away", "CAP_CHOWN", func(o *renew.Output) { o.Owner = other }, "CAP_FOWNER CAP_DAC_READ_SEARCH", ""},
		{"another owner, and all is there", "CAP_CHOWN CAP_FOWNER CAP_DAC_READ_SEARCH", func(o *renew.Output) { o.Owner = other }, "", ""},
		{"another owner, and everything may be read", "CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE", func(o *renew.Output) { o.Owner = other }, "", ""},
		{"the group may read", "CAP_CHOWN CAP_FOWNER", func(o *renew.Output) { o.Owner, o.Group, o.Mode = other, mine, 0o640 }, "", ""},
		{"a group may read that it is not in", "CAP_CHOWN CAP_FOWNER", func(o *renew.Output) { o.Owner, o.Group, o.Mode = other, foreign, 0o640 }, "CAP_DAC_READ_SEARCH", ""},
		{"certificates alone", "CAP_CHOWN CAP_FOWNER", func(o *renew.Output) { o.Owner, o.Key = other, "" }, "", ""},
		{"what is replaced can be read", "CAP_CHOWN CAP_FOWNER", func(o *renew.Output) { o.Owner, o.Key = other, readable }, "", ""},
		{"an access list", "CAP_CHOWN CAP_FOWNER", func(o *renew.Output) { o.Owner, o.ACL = other, []string{"u:7001:r"} }, "", ""},
		{"an owner that is unknown is told elsewhere", "", func(o *renew.Output) { o.Owner = "no-such-user-here" }, "", ""},
	} {
		o := key
		tc.change(&o)
		p := Powers{UID: me, Groups: []int{7003}, Caps: CapsNamed(strings.Fields(tc.caps))}
		l, ok := p.Lack(o)
		if got := strings.Join(l.Caps, " "); got != tc.lacks || l.Group != tc.group || ok != (tc.lacks != "") || ok != (l.Why != "") {
			t.Errorf("%s: lacks %q, group %q, %q", tc.name, got, l.Group, l.Why)
		}
	}
}

func TestOwnPowersAreThoseOfThisProcess(t *testing.T) {
	p, err := OwnPowers()
	if err != nil {
		t.Fatal(err)
	}
	if p.UID != os.Geteuid() || !slices.Contains(p.Groups, os.Getegid()) {
		t.Errorf("%+v", p)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	may := p.Caps&CapsNamed([]string{"cap_chown"}) != 0
	if err := os.Chown(file, 7002, -1); (err == nil) != may {
		t.Errorf("may give files away: %v, and the kernel says %v", may, err)
	}
}
