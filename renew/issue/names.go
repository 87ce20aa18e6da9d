package issue

import (
	"fmt"
	"slices"
)

// nameError is what stands in the way of one name: the CA could not validate
// it, or will not issue for it. Errors that may be anybody's, such as those of
// the network, are none.
type nameError struct {
	name string
	err  error
}

func (e *nameError) Error() string { return fmt.Sprintf("%s: %v", e.name, e.err) }
func (e *nameError) Unwrap() error { return e.err }

// namesOf lists the names of want that err is about.
func namesOf(err error, want []string) []string {
	var found []string
	note := func(name string) {
		if slices.Contains(want, name) && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) { //nolint:errorlint // the tree is walked whole
		case *nameError:
			note(e.name)
		case *problem:
			for _, name := range e.Names {
				note(name)
			}
		}
		switch e := err.(type) { //nolint:errorlint // as above
		case interface{ Unwrap() []error }:
			for _, one := range e.Unwrap() {
				walk(one)
			}
		case interface{ Unwrap() error }:
			if one := e.Unwrap(); one != nil {
				walk(one)
			}
		}
	}
	walk(err)
	return found
}
