package apache_test

import (
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/walk"
)

func TestTheConfigurationIsValidAsItIs(t *testing.T) { walk.Valid(t, "certvigil.hcl", 1) }

func TestTheStepsOfTheReadmeEndWithTheCertificateServed(t *testing.T) {
	w := walk.New(t, "www", time.Hour)
	g := w.Apache(".")
	w.Configure("certvigil.hcl", g.Changes...)
	w.Served(g)
}
