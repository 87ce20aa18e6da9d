package sockets

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// readingOf is one of lists as they are.
func readingOf(t *testing.T, lists ...string) *reading {
	t.Helper()
	r := newReading()
	for _, list := range lists {
		if err := r.add(strings.NewReader(list)); err != nil {
			t.Fatal(err)
		}
	}
	r.end()
	return r
}

var elsewhere, elsewhere6 = netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8:9::/48")

// TestAServerElsewhereIsNotTheOneHere: both may have the same port, and the one here
// listen at every address.
func TestAServerElsewhereIsNotTheOneHere(t *testing.T) {
	server := listen(t, "tcp", ":0")
	_, port, err := net.SplitHostPort(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	var l Lists
	for _, host := range []string{"203.0.113.9", "2001:db8:9::1", "fe80::9%nowhere"} {
		if noted(t, &l, net.JoinHostPort(host, port)) != nil {
			t.Errorf("what is connected here was noted of %s", host)
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		host := a.(*net.IPNet).IP
		if host.IsLinkLocalUnicast() {
			continue // needs its zone
		}
		if noted(t, &l, net.JoinHostPort(host.String(), port)) == nil {
			t.Errorf("nothing was noted of this host's %s", host)
		}
	}
}

func TestAConnectionBelongsToTheListenerThatFitsItBest(t *testing.T) {
	r := readingOf(t,
		line("0.0.0.0:443", listening, 1, false)+line("192.0.2.1:443", listening, 2, false)+line("127.0.0.1:25", listening, 3, false)+
			line("127.0.0.1:443", established, 11, false)+line("192.0.2.1:443", established, 12, false)+line("198.51.100.1:443", established, 13, false)+
			line("127.0.0.1:50000", established, 14, false)+ // one that went out
			line("127.0.0.1:443", established, 0, false)+ // one that nobody accepted yet
			line("127.0.0.1:443", "08", 15, false)+ // one that its client has closed
			line("192.0.2.2:25", established, 16, false), // nobody listens there
		line("[::]:443", listening, 4, true)+line("[2001:db8::1]:443", listening, 5, true)+line("[::]:8443", listening, 6, true)+line("127.0.0.1:993", listening, 7, true)+line("[fe80::1]:8443", listening, 8, true)+
			line("[::1]:443", established, 21, true)+line("[2001:db8::1]:443", established, 22, true)+line("127.0.0.1:8443", established, 23, true)+
			line("[2001:db8::2]:8443", established, 24, true)+line("127.0.0.1:993", established, 25, true)+line("[fe80::1]:8443", established, 26, true))
	for address, want := range map[string][]uint64{
		"127.0.0.1:443":          {11, 13},
		"198.51.100.7:443":       {11, 13}, // an address of this host at which nobody is connected
		"192.0.2.1:443":          {12},
		"[::ffff:192.0.2.1]:443": {12},
		"[::1]:443":              {21},
		"[fe80::1%eth0]:443":     {21},
		"[2001:db8::1]:443":      {22},
		"www.example.com:443":    {11, 12, 13, 21, 22},
		"127.0.0.1:8443":         {23, 24},
		"[::1]:8443":             {23, 24},
		"[fe80::1%eth0]:8443":    {26},
		"127.0.0.1:993":          {25},
		"127.0.0.1:25":           nil,
		"192.0.2.2:25":           nil, // nothing listens at every address there
		"203.0.113.9:443":        nil, // another host's, as are these
		"203.0.113.9:8443":       nil,
		"[2001:db8:9::1]:443":    nil,
		"www.example.com:444":    nil,
		"127.0.0.1:50000":        nil,
		"unix:/run/www.sock":     nil,
		"www.example.com":        nil,
	} {
		var got []uint64
		here := func(ip netip.Addr) bool { return !elsewhere.Contains(ip) && !elsewhere6.Contains(ip) }
		for _, at := range r.listeners(address, here) {
			got = append(got, r.open[at]...)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}

// scripted gives one reading after the other; the last is given again.
func scripted(t *testing.T, lists ...string) (l *Lists, times *int) {
	times = new(int)
	return &Lists{read: func() (*reading, error) {
		i := min(*times, len(lists)-1)
		*times++
		return readingOf(t, lists[i]), nil
	}}, times
}

const www = "127.0.0.1:443"

// connected is a list of one listener and its connections.
func connected(inodes ...int) string {
	list := line(www, listening, 1, false)
	for _, n := range inodes {
		list += line(www, established, n, false)
	}
	return list
}

func noted(t *testing.T, l *Lists, address string) func(time.Time) (int, error) {
	t.Helper()
	still, err := l.Connected(address)
	if err != nil {
		t.Fatal(err)
	}
	return still
}

// left is how many are, as of a reading from now on.
func left(t *testing.T, still func(time.Time) (int, error)) int {
	t.Helper()
	n, err := still(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWhatIsGoneIsForgottenAndWhatIsNewIsNotCounted(t *testing.T) {
	// 12 is gone and given again; 14 and 15 are new.
	l, _ := scripted(t, connected(13, 11, 12), connected(11, 13, 14), connected(12, 13, 14, 15), connected(14))
	still := noted(t, l, www)
	for _, want := range []int{2, 1, 0, 0} {
		if n := left(t, still); n != want {
			t.Errorf("%d are left, want %d", n, want)
		}
	}
}

func TestTheListsAreReadOnceForAllWhoAskTogether(t *testing.T) {
	l, times := scripted(t, connected(11, 12), connected(12))
	var all []func(time.Time) (int, error)
	for range 1000 {
		all = append(all, noted(t, l, www))
	}
	if *times > 3 { // a machine that is very busy may take longer than a reading is shared
		t.Errorf("a thousand certificates read the lists %d times", *times)
	}
	before, since := *times, time.Now()
	for _, still := range all {
		if n, err := still(since); n != 1 || err != nil {
			t.Fatalf("%d are left, %v", n, err)
		}
	}
	if *times-before > 2 {
		t.Errorf("a thousand counts read the lists %d times", *times-before)
	}
}

func TestAReadingFromBeforeIsNotTaken(t *testing.T) {
	l, times := scripted(t, connected(11), connected())
	still := noted(t, l, www)
	if n := left(t, still); n != 0 || *times != 2 {
		t.Errorf("%d are left after %d readings", n, *times)
	}
}

func TestAnOldReadingIsNotShared(t *testing.T) {
	l, times := scripted(t, connected(11))
	still := noted(t, l, www)
	for _, ask := range []func(){func() { noted(t, l, www) }, func() { _, _ = still(time.Time{}) }} {
		l.last.ended = l.last.ended.Add(-time.Minute)
		before := *times
		if ask(); *times != before+1 {
			t.Errorf("a reading of a minute ago was taken")
		}
	}
}

func TestWhereNobodyIsConnectedThereIsNothingToCount(t *testing.T) {
	l, _ := scripted(t, connected())
	for _, address := range []string{www, "127.0.0.1:444", "unix:/run/www.sock"} {
		if noted(t, l, address) != nil {
			t.Errorf("%s: something was noted", address)
		}
	}
}

func TestListsThatCantBeReadAreTold(t *testing.T) {
	broken := errors.New("no /proc")
	l, _ := scripted(t, connected(11))
	still := noted(t, l, www)
	l.read = func() (*reading, error) { return nil, broken }
	if _, err := still(time.Now()); !errors.Is(err, broken) {
		t.Errorf("counting: %v", err)
	}
	if _, err := (&Lists{read: l.read}).Connected(www); !errors.Is(err, broken) {
		t.Errorf("noting: %v", err)
	}
}

// TestConnectionsOfThisKernel: those that came before are counted until they are
// closed, by whichever side; those that come later are not.
func TestConnectionsOfThisKernel(t *testing.T) {
	for _, at := range []struct{ network, listen, address, dial string }{
		{"tcp4", "127.0.0.1:0", "", ""}, {"tcp4", "0.0.0.0:0", "127.0.0.1", "127.0.0.3"}, {"tcp6", "[::1]:0", "", ""},
		{"tcp", "[::]:0", "127.0.0.1", "127.0.0.1"}, {"tcp", "[::]:0", "localhost", "::1"},
	} {
		t.Run(at.network+" "+at.listen+" "+at.address, func(t *testing.T) {
			server := listen(t, at.network, at.listen)
			_, port, err := net.SplitHostPort(server.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			address, where := server.Addr().String(), server.Addr().String()
			if at.address != "" {
				address, where = net.JoinHostPort(at.address, port), net.JoinHostPort(at.dial, port)
			}
			connect := func() (client, accepted net.Conn) {
				client, err := net.Dial("tcp", where)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { client.Close() })
				if accepted, err = server.Accept(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { accepted.Close() })
				return client, accepted
			}
			first, _ := connect()
			_, second := connect()
			connect()
			var l Lists
			still := noted(t, &l, address)
			connect()
			if n := left(t, still); n != 3 {
				t.Errorf("%d of 3", n)
			}
			first.Close()
			if n := left(t, still); n != 2 {
				t.Errorf("%d of 2", n)
			}
			second.Close()
			if n := left(t, still); n != 1 {
				t.Errorf("%d of 1", n)
			}
		})
	}
}

// 100,000 connections, of which half came in.
func BenchmarkReading(b *testing.B) {
	var text strings.Builder
	text.WriteString(line("0.0.0.0:443", listening, 1, false))
	for i := range 50_000 {
		text.WriteString(line("192.0.2.1:443", established, 2*i+7, false))
		text.WriteString(line("192.0.2.1:40000", established, 2*i+8, false))
	}
	list := text.String()
	b.SetBytes(int64(len(list)))
	b.ReportAllocs()
	for b.Loop() {
		r := newReading()
		if err := r.add(strings.NewReader(list)); err != nil {
			b.Fatal(err)
		}
		r.end()
	}
}
