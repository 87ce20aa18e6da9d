package main

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// gcPercent trades a little CPU, of which the agent uses next to none, for the
// memory that it keeps resident for months.
const gcPercent = 20

// ease gives back what a burst of work took, once it is over: by itself the
// runtime keeps a megabyte of it. The zero value is usable.
type ease struct {
	turned time.Time // the turn before
	eased  uint64    // bytes allocated until memory was last given back
	free   func()    // nil is the runtime's
}

// A lap that slept for quiet has nothing under way but what waits. What is worth a
// collection, which takes milliseconds, is above burst: an idle agent allocates
// that much in hours.
const (
	quiet = 20 * time.Second
	burst = 8 << 20
)

// turn is called in each turn of the lap.
func (e *ease) turn(now time.Time) {
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(allocated)
	e.at(now, allocated[0].Value.Uint64())
}

func (e *ease) at(now time.Time, allocated uint64) {
	slept := now.Sub(e.turned)
	e.turned = now
	if slept < quiet || allocated-e.eased <= burst {
		return
	}
	if e.free == nil {
		e.free = debug.FreeOSMemory
	}
	e.free()
	e.eased = allocated
}
