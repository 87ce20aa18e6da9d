package postfix_test

import (
	"os"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/walk"
)

func TestTheConfigurationIsValidAsItIs(t *testing.T) { walk.Valid(t, "certvigil.hcl", 2) }

func TestTheStepsOfTheReadmeEndWithTheCertificateServed(t *testing.T) {
	if os.Geteuid() != 0 {
		return // its master refuses to run as anybody else
	}
	w := walk.New(t, "mail", time.Hour)
	g := w.Postfix(".")
	w.Configure("certvigil.hcl", append(g.Changes, w.Alone()...)...)
	w.Served(g)
}
