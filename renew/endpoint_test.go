package renew

import (
	"slices"
	"testing"
)

func TestAnEndpointWithoutSNIIsProvedForNoName(t *testing.T) {
	c, f := wantCert(), servedAt(90*day)
	c.Endpoints = append(c.Endpoints, Endpoint{Address: c.Endpoints[0].Address, NoSNI: true})
	proofs := slices.Collect(LiveProofs(&c, &f))
	if len(proofs) != 2 || !proofs[0].Served || proofs[1].Served || proofs[1].Where() != "127.0.0.1:443 without SNI" {
		t.Fatalf("got %+v", proofs)
	}
	f.Journal.Proofs = append(f.Journal.Proofs, Proof{Address: "127.0.0.1:443", Version: f.Live, Served: true})
	if proofs = slices.Collect(LiveProofs(&c, &f)); !proofs[1].Served || StageOf(&c, &f) != Served {
		t.Errorf("got %+v", proofs)
	}
}

func TestAnEndpointIsAskedForItsOwnNamesOrAll(t *testing.T) {
	all := []string{"a.example", "b.example"}
	for _, tt := range []struct {
		e    Endpoint
		want []string
	}{{Endpoint{}, all}, {Endpoint{Names: all[1:]}, all[1:]}, {Endpoint{NoSNI: true}, []string{""}}} {
		if got := tt.e.NamesOr(all); !slices.Equal(got, tt.want) {
			t.Errorf("%+v is asked for %q, want %q", tt.e, got, tt.want)
		}
	}
}

func TestASocketIsAPath(t *testing.T) {
	if path, ok := (Endpoint{Address: "unix:/run/x.sock"}).Socket(); !ok || path != "/run/x.sock" {
		t.Errorf("%q %v", path, ok)
	}
	if _, ok := (Endpoint{Address: "127.0.0.1:443"}).Socket(); ok {
		t.Error("host:port is taken for a socket")
	}
}
