package store

import (
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

func TestAnOrderInFlightReadsBack(t *testing.T) {
	s, o := newStore(t), newOrder(t)
	if _, found, err := s.Order("www"); found || err != nil {
		t.Fatal(found, err)
	}
	if err := s.SetOrderURL("www", "https://ca.example/order/1"); err == nil {
		t.Error("a URL was kept of no order")
	}
	must(t, s.BeginOrder("www", o))
	must(t, s.SetOrderURL("www", "https://ca.example/order/1"))
	o.URL = "https://ca.example/order/1"
	got, found, err := s.Order("www")
	if !found || err != nil || !reflect.DeepEqual(got, o) {
		t.Errorf("%v %v\n got %+v\nwant %+v", found, err, got, o)
	}
	next := newOrder(t)
	must(t, s.BeginOrder("www", next))
	if got, _, _ := s.Order("www"); got.URL != "" || string(got.Key) != string(next.Key) {
		t.Errorf("the order before was gone on with: %+v", got)
	}
	must(t, s.EndOrder("www"))
	must(t, s.EndOrder("www"))
	if _, found, err := s.Order("www"); found || err != nil {
		t.Error("it did not end", err)
	}
	if left := leftovers(t, s.Path()); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

func TestAnOrderThatIsNotWholeIsNone(t *testing.T) {
	other := newOrder(t)
	for name, damage := range map[string]func(t *testing.T, dir string){
		"no key":             func(t *testing.T, dir string) { must(t, os.Remove(dir+"/privkey.pem")) },
		"no request":         func(t *testing.T, dir string) { must(t, os.Remove(dir+"/csr.der")) },
		"no order.json":      func(t *testing.T, dir string) { must(t, os.Remove(dir+"/order.json")) },
		"half a key":         func(t *testing.T, dir string) { must(t, os.Truncate(dir+"/privkey.pem", 50)) },
		"half a request":     func(t *testing.T, dir string) { must(t, os.Truncate(dir+"/csr.der", 50)) },
		"half an order.json": func(t *testing.T, dir string) { must(t, os.Truncate(dir+"/order.json", 50)) },
		"another's key":      func(t *testing.T, dir string) { write(t, dir+"/privkey.pem", other.Key) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			must(t, s.BeginOrder("www", newOrder(t)))
			damage(t, s.Path()+"/certs/www/order")
			if _, found, err := s.Order("www"); found || err != nil {
				t.Error(found, err)
			}
			must(t, s.BeginOrder("www", other))
			if _, found, err := s.Order("www"); !found || err != nil {
				t.Error("a new one can't be begun", found, err)
			}
		})
	}
}

func TestBeginOrderRefusesARequestForAnotherKey(t *testing.T) {
	s, o := newStore(t), newOrder(t)
	o.Key = newKeyPEM(t)
	if err := s.BeginOrder("www", o); err == nil {
		t.Error("kept")
	}
}

func TestAJournalReadsBackAndGarbageReadsAsNone(t *testing.T) {
	s := newStore(t)
	if j, err := s.Journal("www"); err != nil || !reflect.DeepEqual(j, renew.Journal{}) {
		t.Fatal(j, err)
	}
	want := renew.Journal{
		Advice:  renew.Advice{CertID: "a.b", Chosen: time.Unix(1e9, 0).UTC()},
		Install: renew.Trouble{Count: 2, Class: renew.Transient, Message: "no"},
		Hooks:   map[string]renew.HookRecord{"nginx": {Acknowledged: 3}},
	}
	must(t, s.Record("www", want))
	if got, err := s.Journal("www"); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
	file := s.Path() + "/certs/www/journal.json"
	for name, text := range map[string]string{
		"torn": `{"install":{"count":2,"cla`, "empty": "", "zeroes": "\x00\x00", "another type": `"x"`, "a field of another type": `{"install":{"count":"two"}}`,
	} {
		write(t, file, []byte(text))
		if got, err := s.Journal("www"); err != nil || !reflect.DeepEqual(got, renew.Journal{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if kept, err := os.ReadFile(file + ".bad"); string(kept) != text {
			t.Errorf("%s is not kept aside: %q, %v", name, kept, err)
		}
		must(t, s.Record("www", want))
	}
}
