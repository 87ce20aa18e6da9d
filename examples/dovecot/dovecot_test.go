package dovecot_test

import (
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/walk"
)

func TestTheConfigurationIsValidAsItIs(t *testing.T) { walk.Valid(t, "certvigil.hcl", 3) }

func TestTheStepsOfTheReadmeEndWithTheCertificateServed(t *testing.T) {
	w := walk.New(t, "mail", time.Hour)
	g := w.Dovecot(".")
	w.Configure("certvigil.hcl", append(g.Changes, w.Alone()...)...)
	w.Served(g)
}
