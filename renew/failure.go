package renew

import (
	"errors"
	"fmt"
	"time"
)

// Class says what kind of failure it was, and so how soon to try again.
type Class string

// The classes of failure.
const (
	Transient Class = "transient" // it may pass by itself: network, 5xx, a busy server
	Limited   Class = "throttled" // the CA named a time; RetryAt holds it
	Refused   Class = "refused"   // the CA said no; a human may have to act
	Config    Class = "config"    // the configuration asks for what can't be
	Local     Class = "local"     // this host: disk, permissions, hook, port
	Bug       Class = "bug"       // ours
)

// Failure is the error of one step of one certificate.
type Failure struct {
	Op      string    // what was being done, as a gerund with its object
	Class   Class     //
	RetryAt time.Time // not before this; zero leaves it to the schedule
	Names   []string  // the names that it is about; none where it is about the whole certificate
	Err     error
}

func (f *Failure) Error() string {
	if f.Op == "" {
		return f.Err.Error()
	}
	return fmt.Sprintf("%s: %v", f.Op, f.Err)
}

func (f *Failure) Unwrap() error { return f.Err }

// ClassOf returns the class of err: that of the first Failure in it, Transient
// where it names none.
func ClassOf(err error) Class {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Class
	}
	return Transient
}
