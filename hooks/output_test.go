package hooks

import (
	"runtime"
	"strings"
	"testing"
)

func TestHugeOutputCostsNoMemoryAndItsEndIsKept(t *testing.T) {
	r := runner(t)
	h := command(t, "yes 'a line of noise' | head -c 67108864; echo; echo the end; exit 1")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := r.Run(t.Context(), h, www, 0)
	runtime.ReadMemStats(&after)
	f := fault(t, err)
	if !strings.HasSuffix(f.Output, "\nthe end") || len(f.Output) > shownBytes {
		t.Errorf("output of %d bytes ends with %q", len(f.Output), f.Output[max(0, len(f.Output)-40):])
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d bytes were allocated for 64 MiB of output", used)
	}
}

func TestTheTailKeepsTheLastPart(t *testing.T) {
	for _, size := range []int{1, 1000, keptOutput, 3 * keptOutput} {
		var out tail
		var all strings.Builder
		for i := 0; all.Len() < 5*keptOutput; i++ {
			piece := strings.Repeat(string(rune('a'+i%26)), size)
			all.WriteString(piece)
			if n, err := out.Write([]byte(piece)); n != size || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
			if cap(out.buf) > 4*keptOutput {
				t.Fatalf("capacity %d", cap(out.buf))
			}
		}
		got, cut := out.kept()
		if want := all.String()[all.Len()-keptOutput:]; string(got) != want || !cut {
			t.Errorf("pieces of %d bytes: the last part is not what was kept (cut %v)", size, cut)
		}
	}
}

func TestOutputIsMadeFitForATerminal(t *testing.T) {
	const key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\nsecret\n-----END EC PRIVATE KEY-----\n"
	for _, tt := range []struct{ name, in, want string }{
		{"lines", "one\r\n\n  two\t.\n", "one\ntwo ."},
		{"escape sequences", "\x1b[31mred\x1b]0;title\a", "?[31mred?]0;title?"},
		{"bytes that are no text", "a\xff\x00b", "a�?b"},
		{"a right-to-left override", "a\u202eb", "a?b"},
		{"a private key", "before\n" + key + "after", "before\n[private key removed]\nafter"},
		{"a private key without its end", "before\n-----BEGIN PRIVATE KEY-----\nsecret\n", "before\n[private key removed]"},
		{"a private key without its beginning", "secret\nsecret\n-----END RSA PRIVATE KEY-----\nafter", "[private key removed]\nafter"},
		{"many lines", strings.Repeat("x\n", 100), strings.TrimSpace(strings.Repeat("x\n", shownLines))},
		{"one long line", strings.Repeat("x", keptOutput), strings.Repeat("x", shownBytes) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out tail
			_, _ = out.Write([]byte(tt.in))
			if got := out.String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
