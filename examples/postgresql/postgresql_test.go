package postgresql_test

import (
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/walk"
)

func TestTheConfigurationIsValidAsItIs(t *testing.T) { walk.Valid(t, "certvigil.hcl", 1) }

func TestTheStepsOfTheReadmeEndWithTheCertificateServed(t *testing.T) {
	w := walk.New(t, "db", time.Hour)
	g := w.PostgreSQL(".")
	w.Configure("certvigil.hcl", append(g.Changes, w.Alone()...)...)
	w.Served(g)
}
