package hooks

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// fakeUnits stands in for systemd where only the order of things matters.
type fakeUnits struct {
	mu     sync.Mutex
	calls  []string
	answer map[string]error
}

func (u *fakeUnits) Reload(ctx context.Context, unit string) error {
	return u.call(ctx, "reload "+unit)
}
func (u *fakeUnits) Start(ctx context.Context, unit string) error { return u.call(ctx, "start "+unit) }

func (u *fakeUnits) call(_ context.Context, what string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = append(u.calls, what)
	return u.answer[what]
}

func TestATestUnitIsStartedAndThenTheUnitReloaded(t *testing.T) {
	h := Hook{Name: "nginx", TestUnit: "nginx-test.service", Reload: Reload{Unit: "nginx.service"}}
	for _, tt := range []struct {
		name  string
		fails string
		phase string
		calls string
	}{
		{"both succeed", "", "", "start nginx-test.service,reload nginx.service"},
		{"the test fails", "start nginx-test.service", "test", "start nginx-test.service"},
		{"the reload fails", "reload nginx.service", "reload", "start nginx-test.service,reload nginx.service"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			units := &fakeUnits{answer: map[string]error{tt.fails: errors.New("no")}}
			r := runner(t)
			r.Units = units
			_, err := r.Run(t.Context(), h, www, 0)
			if got := strings.Join(units.calls, ","); got != tt.calls {
				t.Errorf("calls = %s, want %s", got, tt.calls)
			}
			if tt.phase == "" {
				if err != nil {
					t.Error(err)
				}
			} else if f := fault(t, err); f.Phase != tt.phase || f.ExitCode != -1 {
				t.Errorf("got %+v, want a failure of the %s", f, tt.phase)
			}
		})
	}
}

// fakeBus is a system bus with nobody on it but systemd's manager: enough of
// the D-Bus protocol for the client to be tested as it is.
type fakeBus struct {
	result string                  // of every job; empty: the job never ends
	refuse string                  // the D-Bus error that every call gets instead
	unit   map[string]dbus.Variant // the properties of every unit

	mu    sync.Mutex
	conns []net.Conn
	calls []string
}

func startBus(t *testing.T, result, refuse string) *fakeBus {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+socket)
	b := &fakeBus{result: result, refuse: refuse}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns = append(b.conns, conn)
			b.mu.Unlock()
			serving.Go(func() { b.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.mu.Lock()
		for _, conn := range b.conns {
			conn.Close()
		}
		b.mu.Unlock()
		serving.Wait()
	})
	return b
}

func (b *fakeBus) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for { // the authentication of the D-Bus specification, which ends with BEGIN
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch words := strings.Fields(strings.TrimLeft(line, "\x00")); {
		case len(words) == 1 && words[0] == "AUTH":
			_, _ = conn.Write([]byte("REJECTED EXTERNAL\r\n"))
		case words[0] == "AUTH":
			_, _ = conn.Write([]byte("OK 0123456789abcdef0123456789abcdef\r\n"))
		case words[0] == "BEGIN":
			b.answer(conn, in)
			return
		default:
			_, _ = conn.Write([]byte("ERROR\r\n"))
		}
	}
}

func (b *fakeBus) answer(conn net.Conn, in *bufio.Reader) {
	const job = dbus.ObjectPath("/org/freedesktop/systemd1/job/7")
	for {
		call, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		member, _ := call.Headers[dbus.FieldMember].Value().(string)
		switch member {
		case "Hello":
			b.reply(conn, call, ":1.1")
		case "ReloadUnit", "StartUnit":
			unit := call.Body[0].(string)
			b.mu.Lock()
			b.calls = append(b.calls, member+" "+unit+" "+call.Body[1].(string))
			conns := b.conns
			b.mu.Unlock()
			if b.refuse != "" {
				b.send(conn, &dbus.Message{Type: dbus.TypeError, Headers: map[dbus.HeaderField]dbus.Variant{
					dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()), dbus.FieldErrorName: dbus.MakeVariant(b.refuse),
					dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf("")),
				}, Body: []any{"as the bus puts it"}})
				continue
			}
			b.reply(conn, call, job)
			if b.result == "" {
				continue
			}
			for _, to := range conns {
				b.send(to, &dbus.Message{Type: dbus.TypeSignal, Headers: map[dbus.HeaderField]dbus.Variant{
					dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")),
					dbus.FieldInterface: dbus.MakeVariant("org.freedesktop.systemd1.Manager"),
					dbus.FieldMember:    dbus.MakeVariant("JobRemoved"),
					dbus.FieldSender:    dbus.MakeVariant("org.freedesktop.systemd1"),
					dbus.FieldSignature: dbus.MakeVariant(dbus.SignatureOf(uint32(7), job, unit, b.result)),
				}, Body: []any{uint32(7), job, unit, b.result}})
			}
		case "GetAll":
			b.reply(conn, call, b.unit)
		default:
			b.reply(conn, call)
		}
	}
}

func (b *fakeBus) reply(conn net.Conn, call *dbus.Message, body ...any) {
	headers := map[dbus.HeaderField]dbus.Variant{dbus.FieldReplySerial: dbus.MakeVariant(call.Serial())}
	if len(body) > 0 {
		headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	b.send(conn, &dbus.Message{Type: dbus.TypeMethodReply, Headers: headers, Body: body})
}

func (b *fakeBus) send(conn net.Conn, m *dbus.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = m.EncodeTo(conn, binary.LittleEndian) // who has gone does not hear it
}

func TestSystemdIsAskedOverDBusAndItsJobAwaited(t *testing.T) {
	h := Hook{Name: "nginx", TestUnit: "nginx-test.service", Reload: Reload{Unit: "nginx.service"}}
	b := startBus(t, "done", "")
	if _, err := runner(t).Run(t.Context(), h, www, 0); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if got, want := strings.Join(b.calls, ","), "StartUnit nginx-test.service replace,ReloadUnit nginx.service replace"; got != want {
		t.Errorf("calls = %s, want %s", got, want)
	}
}

func TestWhatSystemdRefusesOrFailsIsExplained(t *testing.T) {
	for _, tt := range []struct {
		name, result, refuse string
		want                 []string
	}{
		{"the job failed", "failed", "", []string{`could not reload nginx.service (job result "failed")`, "journalctl -u nginx.service"}},
		{"the unit is not active", "invalid", "", []string{"the unit is not active"}},
		{"the job was cancelled", "canceled", "", []string{`job result "canceled"`}},
		{"polkit refuses", "", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
			[]string{"/etc/polkit-1/rules.d", "org.freedesktop.systemd1.manage-units", `verb "reload"`, `unit "nginx.service"`}},
		{"the bus refuses", "", "org.freedesktop.DBus.Error.AccessDenied", []string{"/etc/polkit-1/rules.d"}},
		{"no such unit", "", "org.freedesktop.systemd1.NoSuchUnit", []string{"systemd knows no unit nginx.service"}},
		{"the unit cannot reload", "", "org.freedesktop.systemd1.JobTypeNotApplicable", []string{"ExecReload="}},
		{"anything else", "", "org.freedesktop.DBus.Error.Failed", []string{"asking systemd to reload nginx.service", "as the bus puts it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			startBus(t, tt.result, tt.refuse)
			_, err := runner(t).Run(t.Context(), Hook{Name: "nginx", Reload: Reload{Unit: "nginx.service"}}, www, 0)
			fault(t, err)
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("err = %v\nwant %q in it", err, want)
				}
			}
		})
	}
}

func TestAJobThatNeverEndsIsATimeout(t *testing.T) {
	startBus(t, "", "")
	h := Hook{Name: "nginx", Timeout: 300 * time.Millisecond, Reload: Reload{Unit: "nginx.service"}}
	_, err := runner(t).Run(t.Context(), h, www, 0)
	if f := fault(t, err); !f.TimedOut {
		t.Errorf("got %v, want a timeout", err)
	}
}

func TestABusThatIsSilentIsATimeout(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", socket) // accepts by itself, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+socket)
	h := Hook{Name: "nginx", Timeout: 300 * time.Millisecond, Reload: Reload{Unit: "nginx.service"}}
	_, err = runner(t).Run(t.Context(), h, www, 0)
	if f := fault(t, err); !f.TimedOut {
		t.Errorf("got %v, want a timeout", err)
	}
}

func TestNoBusIsAClearError(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	// Not as root does it, who would find systemd's own socket on a host that has one.
	_, err := bus{dial: systemd.NewSystemConnectionContext}.connect(t.Context())
	if err == nil {
		t.Fatal("connected to a bus that is not there")
	}
	if !strings.Contains(err.Error(), "is systemd running here") {
		t.Errorf("err = %v", err)
	}
}
