package renew

import "slices"

// keepsBetter tells that an older pair stands in for a broken one which a server
// has loaded still, and which lasts longer. The older one, be it expired, is in
// place because a server without whole files does not start, and reads no other
// site's; its own certificate is no reason to reload it.
func keepsBetter(f *Facts) bool {
	if f.Newest.Fault == "" || f.Newest.N <= f.Held.N {
		return false
	}
	end := f.Held.End()
	return slices.ContainsFunc(f.Journal.Proofs, func(p Proof) bool { return p.NotAfter.After(end) })
}
