package renew

import "time"

// ClockTolerance is how far this host's clock and a CA's, or those of two CAs,
// may be apart without anything being wrong.
const ClockTolerance = 5 * time.Minute

// Earliest returns the latest moment that the pairs themselves show to have
// come: each was valid when it was issued, so a clock that says less is wrong.
// A machine may boot without one. Nothing is issued until it is right. Zero
// where there is no pair.
func Earliest(versions []Version) time.Time {
	var at time.Time
	for i := range versions {
		if v := &versions[i]; v.Usable() {
			at = later(at, v.NotBefore)
		}
	}
	if at.IsZero() {
		return at
	}
	return at.Add(-ClockTolerance)
}
