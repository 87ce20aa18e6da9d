package renew

import "time"

// Earliest returns the latest moment that the pairs themselves show to have
// come: each was valid when it was issued, so a clock that says less is wrong.
// A machine may boot without one. Nothing is issued until it is right.
func Earliest(versions []Version) time.Time {
	var at time.Time
	for _, v := range versions {
		if v.Usable() {
			at = later(at, v.NotBefore)
		}
	}
	return at
}
