package hooks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
)

// stateWait bounds the look at a unit whose job has failed: the hook's own time
// may be over by then.
const stateWait = time.Second

// unitState is what systemd says of a unit (org.freedesktop.systemd1(5)). A
// property that it did not name is empty, and judged by nobody.
type unitState struct {
	load, active, sub, result string
	canReload, known          bool // known: it was said whether the unit can be reloaded
}

func stateOf(ctx context.Context, conn *systemd.Conn, unit string) (unitState, error) {
	all, err := conn.GetAllPropertiesContext(ctx, unit)
	if err != nil {
		return unitState{}, err
	}
	text := func(property string) string { s, _ := all[property].(string); return s }
	s := unitState{load: text("LoadState"), active: text("ActiveState"), sub: text("SubState"), result: text("Result")}
	s.canReload, s.known = all["CanReload"].(bool)
	return s, nil
}

// stateAfter describes the unit once a job has failed, as far as it can be had.
func stateAfter(ctx context.Context, conn *systemd.Conn, unit string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stateWait)
	defer cancel()
	s, err := stateOf(ctx, conn, unit)
	if err != nil {
		return "its state can't be had: " + err.Error()
	}
	return s.String()
}

func (s unitState) String() string {
	var parts []string
	for _, p := range []struct{ name, value string }{{"ActiveState", s.active}, {"SubState", s.sub}, {"Result", s.result}} {
		if p.value != "" {
			parts = append(parts, p.name+"="+p.value)
		}
	}
	return strings.Join(parts, ", ")
}

// refuses tells why a job would do nothing, before it is asked for.
func (s unitState) refuses(verb, unit string) error {
	if err := s.usable(unit); err != nil || verb == verbStart {
		return err
	}
	switch {
	case slices.Contains([]string{"inactive", "failed", "deactivating"}, s.active):
		return fmt.Errorf("systemd does not %s %s, which does not run (%s): start it with systemctl start %s, "+
			"or take the hook out where it is not to run", verb, unit, s, unit)
	case verb == verbReload && s.known && !s.canReload:
		return cannotReload(unit)
	}
	return nil
}

// usable tells whether systemd has read the unit without fault.
func (s unitState) usable(unit string) error {
	switch s.load {
	case "", "loaded":
		return nil
	case "not-found":
		return fmt.Errorf("systemd knows no unit %s: write the name that systemctl list-unit-files --type=service shows", unit)
	case "masked":
		return fmt.Errorf("systemd can't use the unit %s (load state %q): systemctl unmask %s, or write another unit", unit, s.load, unit)
	default:
		return fmt.Errorf("systemd can't use the unit %s (load state %q): see systemctl status %s", unit, s.load, unit)
	}
}

func cannotReload(unit string) error {
	return fmt.Errorf("systemd cannot reload %s: the unit has no ExecReload=; with try_restart = true beside unit it is restarted instead", unit)
}
