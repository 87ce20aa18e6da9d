package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// TestAHookThatWaitsForItsWindowCausesNoLapse: whatever else goes wrong. (Of a
// week's certificate, what waits until a third of the lifetime is left can't be
// put right any more if the server breaks on that day.)
func TestAHookThatWaitsForItsWindowCausesNoLapse(t *testing.T) {
	for _, tc := range []struct {
		window string
		life   time.Duration
	}{{"Sat 02:00-05:00", 90 * day}, {"Wed 02:00-02:10, Sat 02:00-02:10", 47 * day}} {
		t.Run(tc.window+" of "+tc.life.String(), func(t *testing.T) {
			window, err := renew.ParseWindow(tc.window, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			own := renew.Cert{
				Name: "www", Names: []string{"www.example.com"}, KeyType: renew.EC256, ARI: true, Rescue: true,
				Issuers: []renew.Issuer{{Name: "ca", Directory: "https://ca/dir"}}, Hooks: []string{"db"},
				HookWindows: map[string]renew.Window{"db": window},
			}
			r := Fleet{Model: Standard(), First: 1, Seeds: 30, Own: Own{Certs: []renew.Cert{own}, Life: tc.life}, Length: 2 * year}.Run(t.Context(), nil)
			t.Log("\n" + r.Summary())
			for _, f := range slices.Concat(r.Harm, r.Unheard) {
				t.Error(f)
			}
			if r.Years < 59 || r.Issued < 300 || len(r.Lapses) == 0 {
				t.Error("hardly anything went wrong")
			}
		})
	}
}
