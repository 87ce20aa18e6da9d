package renew

// Stage is how far the newest whole version has come.
type Stage string

// The stages, in order.
const (
	Wanted    Stage = "wanted"    // configured; nothing whole is held
	Issued    Stage = "issued"    // held in the state directory
	Installed Stage = "installed" // the live link and every output show it
	Deployed  Stage = "deployed"  // every hook has acknowledged it
	Served    Stage = "served"    // every endpoint has proved it
)

// StageOf returns the stage that c has reached. A certificate with no endpoint
// stays Deployed: nobody proves it.
func StageOf(c *Cert, f *Facts) Stage {
	switch {
	case f.Held.N == 0:
		return Wanted
	case !installed(f):
		return Issued
	case !Acknowledged(c, f):
		return Installed
	case len(Endpoints(c, f)) == 0 || !proved(c, f):
		return Deployed
	default:
		return Served
	}
}

func installed(f *Facts) bool {
	for _, o := range f.Outputs {
		if !o.InPlace {
			return false
		}
	}
	return inPlace(f)
}

// Acknowledged tells whether every hook has returned 0 for the live version.
func Acknowledged(c *Cert, f *Facts) bool {
	for _, h := range c.Hooks {
		if f.Journal.Hooks[h].Acknowledged != f.Live {
			return false
		}
	}
	return true
}

func proved(c *Cert, f *Facts) bool {
	for p := range LiveProofs(c, f) {
		if !p.Served {
			return false
		}
	}
	return true
}
