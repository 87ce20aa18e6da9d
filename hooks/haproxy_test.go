package hooks

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// putPair writes a new pair into dir, as the live folder of a certificate has
// it, and returns its serial number.
func putPair(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"www.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "privkey.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	// An empty line between two blocks, as some CAs write, would end the payload.
	put(t, filepath.Join(dir, "fullchain.pem"), append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf}), '\n', '\n'))
}

func put(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// haproxy is a real one, with one certificate.
type haproxy struct {
	address string
	hook    Hook
	event   Event // of a live pair that it does not have yet
	pid     int
}

// startHAProxy has it serve a pair with serial number 1. It gets its listening
// socket from us, so that no port can be taken by somebody else.
func startHAProxy(t *testing.T, level string) haproxy {
	t.Helper()
	dir := shortDir(t)
	live := t.TempDir()
	putPair(t, live, 1)
	pair, err := readPair(live)
	if err != nil {
		t.Fatal(err)
	}
	loaded, socket, conf := filepath.Join(dir, "www.pem"), filepath.Join(dir, "admin.sock"), filepath.Join(dir, "haproxy.cfg")
	put(t, loaded, pair)
	put(t, conf, []byte(strings.NewReplacer("SOCKET", socket, "LEVEL", level, "PAIR", loaded).Replace(`
global
  stats socket SOCKET mode 600 level LEVEL
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend main
  bind fd@3 ssl crt PAIR
  http-request return status 200
`)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	program, err := findProgram("haproxy", os.Getenv("PATH")+":/usr/sbin")
	if err != nil {
		t.Fatal(err)
	}
	var said tail
	cmd := exec.Command(program, "-db", "-f", conf)
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{file}, &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("haproxy said: %s", said.String())
		}
	})
	h := haproxy{
		address: l.Addr().String(), pid: cmd.Process.Pid,
		hook:  Hook{Name: "haproxy", Timeout: deadline, Reload: Reload{HAProxy: socket, Certificate: loaded}},
		event: Event{Cert: "www", Dir: live},
	}
	until(t, "haproxy is up", func() bool {
		answer, err := query(t.Context(), h.hook.Reload, "show ssl cert\n")
		return err == nil && answer != ""
	})
	h.serves(t, 1)
	return h
}

// dial makes a handshake.
func (h haproxy) dial(t *testing.T) *tls.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: "www.example.com"}} // the serial says which one it is
	conn, err := d.DialContext(ctx, "tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*tls.Conn)
}

func (h haproxy) serves(t *testing.T, serial int64) {
	t.Helper()
	if got := h.dial(t).ConnectionState().PeerCertificates[0].SerialNumber; got.Cmp(big.NewInt(serial)) != 0 {
		t.Errorf("served is number %s, want %d", got, serial)
	}
}

func (h haproxy) run(t *testing.T) error {
	t.Helper()
	_, err := runner(t).Run(t.Context(), h.hook, h.event, 0)
	if err == nil {
		return nil
	}
	key := strings.Split(read(t, filepath.Join(h.event.Dir, "privkey.pem")), "\n")[1]
	if strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "PRIVATE KEY") {
		t.Errorf("a key is quoted: %v", err)
	}
	return err
}

func TestHAProxyTakesANewPairWithoutAReload(t *testing.T) {
	h := startHAProxy(t, "admin")
	held := h.dial(t)
	for serial := int64(2); serial < 5; serial++ {
		putPair(t, h.event.Dir, serial)
		h.serves(t, serial-1)
		if err := h.run(t); err != nil {
			t.Fatal(err)
		}
		h.serves(t, serial)
	}
	if ended(h.pid) {
		t.Error("it is another process")
	}
	// Connections from before go on.
	if _, err := io.WriteString(held, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(held); !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		t.Errorf("over the connection from before: %q, %v", answer, err)
	}
}

func TestAPairThatHAProxyRefusesLeavesTheOneBefore(t *testing.T) {
	h := startHAProxy(t, "admin")
	other := t.TempDir()
	putPair(t, h.event.Dir, 2)
	putPair(t, other, 3)
	whole := h.event.Dir
	h.event.Dir = t.TempDir()
	put(t, filepath.Join(h.event.Dir, "privkey.pem"), []byte(read(t, filepath.Join(other, "privkey.pem"))))
	put(t, filepath.Join(h.event.Dir, "fullchain.pem"), []byte(read(t, filepath.Join(whole, "fullchain.pem"))))
	says(t, h.run(t), "hook haproxy: reload: having HAProxy use the certificate", "inconsistencies between private key and certificate")
	h.serves(t, 1)
	h.event.Dir = whole
	if err := h.run(t); err != nil {
		t.Errorf("the next one, which is whole: %v", err)
	}
	h.serves(t, 2)
}

// TestWhatWasBegunIsAborted: HAProxy has one transaction at a time, and an open
// one would refuse those of all other certificates.
func TestWhatWasBegunIsAborted(t *testing.T) {
	h := startHAProxy(t, "admin")
	putPair(t, h.event.Dir, 2)
	pair, err := readPair(h.event.Dir)
	if err != nil {
		t.Fatal(err)
	}
	begin := "set ssl cert " + h.hook.Reload.Certificate + " <<\n" + string(pair) + "\n"
	if answer, err := query(t.Context(), h.hook.Reload, begin); err != nil || !strings.Contains(answer, "Transaction created") {
		t.Fatalf("%q, %v", answer, err)
	}
	if err := abandoned(t.Context(), h.hook.Reload, io.ErrUnexpectedEOF); err != io.ErrUnexpectedEOF {
		t.Errorf("err = %v", err)
	}
	if answer, err := query(t.Context(), h.hook.Reload, begin); err != nil || !strings.Contains(answer, "Transaction created") {
		t.Errorf("%q, %v: it was still open", answer, err)
	}
}

func TestWhatHAProxyAnswersIsExplained(t *testing.T) {
	h := startHAProxy(t, "admin")
	putPair(t, h.event.Dir, 2)
	r := runner(t)
	says(t, r.Ready(t.Context(), h.hook))
	unknown := h
	unknown.hook.Reload.Certificate = "/etc/haproxy/certs/other.pem"
	says(t, unknown.run(t), "HAProxy loaded no file /etc/haproxy/certs/other.pem", "show ssl cert")
	says(t, r.Ready(t.Context(), unknown.hook), "HAProxy loaded no file /etc/haproxy/certs/other.pem")
	gone := h
	gone.hook.Reload.HAProxy += ".gone"
	says(t, gone.run(t), "reaching HAProxy's runtime API", "no such file")
	says(t, r.Ready(t.Context(), gone.hook), "reaching HAProxy's runtime API")
	_, err := r.Run(t.Context(), h.hook, Event{Cert: "www", Dir: t.TempDir()}, 0)
	says(t, err, "reading the live pair", "privkey.pem")
	h.serves(t, 1)

	low := startHAProxy(t, "operator")
	putPair(t, low.event.Dir, 2)
	says(t, low.run(t), "HAProxy refuses set ssl cert", "level admin")
	low.serves(t, 1)
}

func TestHAProxysSocketThatNeverAnswersIsATimeout(t *testing.T) {
	socket := filepath.Join(shortDir(t), "s")
	l, err := net.Listen("unix", socket) // accepts by itself, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := Hook{Name: "haproxy", Timeout: 300 * time.Millisecond, Reload: Reload{HAProxy: socket, Certificate: "www.pem"}}
	live := t.TempDir()
	putPair(t, live, 2)
	_, err = runner(t).Run(t.Context(), h, Event{Cert: "www", Dir: live}, 0)
	if f := fault(t, err); !f.TimedOut {
		t.Errorf("got %v, want a timeout", err)
	}
}

// TestAnAnswerWithoutEndIsCutOff also has the impostor of one's own user: what
// it says is quoted without what it was sent.
func TestAnAnswerWithoutEndIsCutOff(t *testing.T) {
	socket := filepath.Join(shortDir(t), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for {
					if _, err := fmt.Fprintln(conn, strings.Repeat("no ", 1000)); err != nil {
						return
					}
				}
			}()
		}
	}()
	h := haproxy{hook: Hook{Name: "haproxy", Timeout: deadline, Reload: Reload{HAProxy: socket, Certificate: "www.pem"}}, event: Event{Cert: "www", Dir: t.TempDir()}}
	putPair(t, h.event.Dir, 2)
	if err := h.run(t); err == nil || len(err.Error()) > 2000 {
		t.Errorf("an error of %d bytes", len(fmt.Sprint(err)))
	}
}

func TestAKeyGoesToRootAndToOnesOwnUserOnly(t *testing.T) {
	const own, stranger = 1000, 65534
	if !mayHaveKey(0, own) || !mayHaveKey(own, own) || mayHaveKey(stranger, own) || mayHaveKey(stranger, 0) {
		t.Error("it goes to somebody else")
	}
	if os.Geteuid() != 0 {
		return // nobody else can be made to listen
	}
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	listening := make(chan net.Listener)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its user
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, stranger, stranger, stranger); errno != 0 {
			t.Error(errno)
		}
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Error(err)
		}
		listening <- l
	}()
	l := <-listening
	if l == nil {
		t.FailNow()
	}
	defer l.Close()
	h := haproxy{hook: Hook{Name: "haproxy", Timeout: deadline, Reload: Reload{HAProxy: socket, Certificate: "www.pem"}}, event: Event{Cert: "www", Dir: t.TempDir()}}
	putPair(t, h.event.Dir, 2)
	heard := make(chan []byte)
	go func() {
		var all []byte
		for range 2 { // the command, and the abort of it
			conn, err := l.Accept()
			if err != nil {
				t.Error(err)
				break
			}
			text, _ := io.ReadAll(conn)
			all = append(all, text...)
			conn.Close()
		}
		heard <- all
	}()
	says(t, h.run(t), "user 65534 listens at "+socket, "a private key goes to root")
	if got := <-heard; len(got) > 0 {
		t.Errorf("it was told %q", got)
	}
}

func TestSeveralCertificatesDoNotFitIntoOneFile(t *testing.T) {
	err := exchange(t.Context(), Reload{HAProxy: "/run/s", Certificate: "www.pem"}, []Event{www, api})
	says(t, err, "www.pem holds one certificate, and www, api ask for it: write a hook for each")
}

func TestNamesThatHAProxysCommandLineWouldTakeApart(t *testing.T) {
	for name, want := range map[string]bool{
		"/etc/haproxy/certs/www.pem": true, "www.pem": true, "@site/www.pem": true,
		"": false, "a b": false, "a;b": false, "<<": false, "a\nb": false, `a\b`: false, "a<b": false, strings.Repeat("a", 2000): false,
	} {
		if LoadedName(name) != want {
			t.Errorf("LoadedName(%q) = %v", name, !want)
		}
	}
}
