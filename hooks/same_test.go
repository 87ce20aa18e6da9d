package hooks

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHooksThatDoTheSameShareARun(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	g.open(t)
	other, tested := g.Hook, g.Hook
	other.Name, other.Timeout = "mail", deadline+time.Second
	tested.Name, tested.Test = "tested", []string{"/bin/true"}
	if !g.Hook.Same(other) || g.Hook.Same(tested) {
		t.Fatal("hooks are the same by what they do: the test and the reload")
	}
	justRan(r, g.Hook)
	one, two := ask(t.Context(), r, g.Hook, "one", time.Second), ask(t.Context(), r, other, "two", time.Second)
	for _, from := range []<-chan answer{one, two} {
		a := take(t, from)
		slices.Sort(a.res.Certs)
		if a.err != nil || !a.res.Shared || !slices.Equal(a.res.Certs, []string{"one", "two"}) {
			t.Errorf("got %+v, want both served by one run", a)
		}
	}
	if lines := g.lines(); len(lines) != 3 {
		t.Errorf("log = %q", lines)
	}
	if a := take(t, ask(t.Context(), r, tested, "three", 0)); a.err != nil || a.res.Shared || a.res.Test <= 0 {
		t.Errorf("the one with a test: %+v", a)
	}
}

func TestAFailureOfOneRunIsEachHooksOwn(t *testing.T) {
	r := runner(t)
	h := command(t, "echo broken; exit 1")
	other := h
	other.Name = "mail"
	justRan(r, h)
	one, two := ask(t.Context(), r, h, "one", time.Second), ask(t.Context(), r, other, "two", time.Second)
	for name, from := range map[string]<-chan answer{"nginx": one, "mail": two} {
		a := take(t, from)
		if f := fault(t, a.err); f.Hook != name || f.Output != "broken" || !a.res.Shared {
			t.Errorf("%s got %+v", name, f)
		}
	}
}

func TestOneRunForSeveralHooksHasTheLongestTimeout(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	short := g.Hook
	short.Name, short.Timeout = "short", 100*time.Millisecond
	justRan(r, g.Hook)
	long := ask(t.Context(), r, g.Hook, "long", time.Second)
	until(t, "it waits", func() bool { return waiting(r, "nginx") == 1 })
	brief := ask(t.Context(), r, short, "brief", time.Second)
	until(t, "the run begins", func() bool { return len(g.lines()) > 0 })
	time.AfterFunc(3*short.Timeout, func() { _ = os.WriteFile(g.gate, nil, 0o600) })
	for _, from := range []<-chan answer{long, brief} {
		if a := take(t, from); a.err != nil {
			t.Error(a.err)
		}
	}
}

func TestNoMoreThanSoManyHooksRunAtOnce(t *testing.T) {
	r := runner(t)
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	running := func() int {
		began, _ := filepath.Glob(filepath.Join(dir, "*.began"))
		return len(began)
	}
	var asked []<-chan answer
	for i := range mostAtOnce + 3 {
		h := command(t, `touch "$1.began"; while [ ! -e "$2" ]; do sleep 0.02; done; rm "$1.began"; touch "$1.ended"`, filepath.Join(dir, fmt.Sprint(i)), gate)
		h.Name = fmt.Sprint("hook-", i)
		asked = append(asked, ask(t.Context(), r, h, "www", 0))
	}
	until(t, "all places are taken", func() bool { return running() == mostAtOnce })
	until(t, "the others wait for a place", func() bool {
		n := 0
		for i := range mostAtOnce + 3 {
			n += waiting(r, fmt.Sprint("hook-", i))
		}
		return n == 3
	})
	if n := running(); n > mostAtOnce {
		t.Errorf("%d run at once", n)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range asked {
		if a := take(t, from); a.err != nil {
			t.Error(a.err)
		}
	}
	if ended, _ := filepath.Glob(filepath.Join(dir, "*.ended")); len(ended) != mostAtOnce+3 {
		t.Errorf("only %s ran", strings.Join(ended, ", "))
	}
}
