package hooks

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
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
func (u *fakeUnits) ReloadOrTryRestart(ctx context.Context, unit string) error {
	return u.call(ctx, "reload-or-try-restart "+unit)
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
	socket := filepath.Join(shortDir(t), "bus")
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

// shortDir is for sockets: a path of more than 107 bytes is none, and t.TempDir
// has the test's name in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hooks")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
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
		case "ReloadUnit", "ReloadOrTryRestartUnit", "StartUnit":
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
		{"the job failed", "failed", "", []string{`could not reload nginx.service (job result "failed")`}},
		{"the unit was stopped meanwhile", "invalid", "", []string{"is it active?"}},
		{"the job was skipped", "skipped", "", []string{`job result "skipped"`, "is it active?"}},
		{"somebody stops the unit", "canceled", "", []string{`job result "canceled"`, "another job took its place"}},
		{"systemd's own time limit", "timeout", "", []string{`job result "timeout"`, "JobTimeoutSec="}},
		{"a unit before it failed", "dependency", "", []string{`job result "dependency"`, "that it depends on"}},
		{"a result of a later systemd", "frozen", "", []string{`job result "frozen"`}},
		{"polkit refuses", "", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
			[]string{"/etc/polkit-1/rules.d", "org.freedesktop.systemd1.manage-units", `verb "reload"`, `unit "nginx.service"`}},
		{"the bus refuses", "", "org.freedesktop.DBus.Error.AccessDenied", []string{"/etc/polkit-1/rules.d"}},
		{"no such unit", "", "org.freedesktop.systemd1.NoSuchUnit", []string{"systemd knows no unit nginx.service"}},
		{"the unit cannot reload", "", "org.freedesktop.systemd1.JobTypeNotApplicable", []string{"ExecReload="}},
		{"anything else", "", "org.freedesktop.DBus.Error.Failed", []string{"asking systemd to reload nginx.service", "as the bus puts it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			journalctl(t, "echo what it said")
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

func TestAUnitIsRestartedOnlyWhereThatWasAskedFor(t *testing.T) {
	b := startBus(t, "done", "")
	b.unit = unit("active", false)
	h := Hook{Name: "db", Reload: Reload{Unit: "db.service"}}
	_, err := runner(t).Run(t.Context(), h, www, 0)
	says(t, err, "cannot reload db.service", "ExecReload=", "try_restart = true")
	h.Reload.TryRestart = true
	if _, err := runner(t).Run(t.Context(), h, www, 0); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if got, want := strings.Join(b.calls, ","), "ReloadOrTryRestartUnit db.service replace"; got != want {
		t.Errorf("calls = %s, want %s", got, want)
	}
}

// TestAUnitThatCannotBeReloadedIsNotAsked: systemd would call it a success to
// try-restart what does not run.
func TestAUnitThatCannotBeReloadedIsNotAsked(t *testing.T) {
	for _, tt := range []struct {
		name string
		unit map[string]dbus.Variant
		want []string
	}{
		{"not running", unit("inactive", true), []string{"nginx.service, which does not run (ActiveState=inactive, SubState=dead, Result=success)", "systemctl start nginx.service"}},
		{"failed", unit("failed", true), []string{"ActiveState=failed"}},
		{"being stopped", unit("deactivating", true), []string{"ActiveState=deactivating"}},
		{"not there", map[string]dbus.Variant{"LoadState": dbus.MakeVariant("not-found")}, []string{"systemd knows no unit nginx.service", "systemctl list-unit-files"}},
		{"masked", map[string]dbus.Variant{"LoadState": dbus.MakeVariant("masked")}, []string{`load state "masked"`, "systemctl unmask nginx.service"}},
		{"a unit file that does not parse", map[string]dbus.Variant{"LoadState": dbus.MakeVariant("bad-setting")}, []string{"systemctl status nginx.service"}},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, ", try_restart ", restart), func(t *testing.T) {
				b := startBus(t, "done", "")
				b.unit = tt.unit
				_, err := runner(t).Run(t.Context(), Hook{Name: "nginx", Reload: Reload{Unit: "nginx.service", TryRestart: restart}}, www, 0)
				fault(t, err)
				says(t, err, tt.want...)
				b.mu.Lock()
				defer b.mu.Unlock()
				if len(b.calls) > 0 {
					t.Errorf("systemd was told to %v", b.calls)
				}
			})
		}
	}
}

// unit is what systemd says of a service.
func unit(active string, reloads bool) map[string]dbus.Variant {
	sub := map[string]string{"active": "running", "inactive": "dead"}[active]
	return map[string]dbus.Variant{
		"LoadState": dbus.MakeVariant("loaded"), "ActiveState": dbus.MakeVariant(active), "SubState": dbus.MakeVariant(sub),
		"Result": dbus.MakeVariant("success"), "CanReload": dbus.MakeVariant(reloads),
	}
}

// journalctl puts a program of that name into PATH, ahead of the real one.
func journalctl(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestAFailedJobIsExplainedByTheUnitsOwnLog(t *testing.T) {
	asked := filepath.Join(t.TempDir(), "asked")
	for _, tt := range []struct {
		name, script string
		want         []string
	}{
		{"it said why", `echo "$@" >> ` + asked + `; echo 'nginx: [emerg] unknown directive "nonsense"'; echo 'nginx: configuration file test failed'`,
			[]string{`(ActiveState=active, SubState=running, Result=success): nginx: [emerg] unknown directive "nonsense"; nginx: configuration file test failed`}},
		{"only systemd said something", `case "$*" in *--unit=nginx.service*) echo "Failed to execute /sbin/nginx" ;; esac`, []string{": Failed to execute /sbin/nginx"}},
		{"a key among it", `echo '-----BEGIN PRIVATE KEY-----'; echo MIIsecret; echo '-----END PRIVATE KEY-----'`, []string{keyRemoved}},
		{"it can't be read", `echo "No journal files were opened due to insufficient permissions." >&2; exit 1`, []string{"its log can't be quoted", "insufficient permissions"}},
		{"nothing is to be seen", "exit 0", []string{"its log can't be quoted: there is no line", "systemd-journal"}},
		{"it hangs", "sleep 60", []string{"its log can't be quoted: journalctl gave no answer in time"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			journalctl(t, tt.script)
			b := startBus(t, "failed", "")
			b.unit = unit("active", true)
			_, err := runner(t).Run(t.Context(), Hook{Name: "nginx", Reload: Reload{Unit: "nginx.service"}}, www, 0)
			fault(t, err)
			says(t, err, append(tt.want, `hook nginx: reload: systemd could not reload nginx.service (job result "failed")`)...)
			if strings.Contains(err.Error(), "MIIsecret") {
				t.Errorf("a key is quoted: %v", err)
			}
		})
	}
	if args := read(t, asked); !regexp.MustCompile(`^--quiet --no-pager --output=cat --lines=5 --since=@\d+ _SYSTEMD_UNIT=nginx.service\n$`).MatchString(args) {
		t.Errorf("journalctl was asked for %q", args)
	}
}

func TestAJobThatNeverEndsIsATimeout(t *testing.T) {
	journalctl(t, "echo still waiting for workers")
	startBus(t, "", "")
	h := Hook{Name: "nginx", Timeout: 300 * time.Millisecond, Reload: Reload{Unit: "nginx.service"}}
	_, err := runner(t).Run(t.Context(), h, www, 0)
	if f := fault(t, err); !f.TimedOut || f.Output != "still waiting for workers" {
		t.Errorf("got %+v, want a timeout", f)
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
