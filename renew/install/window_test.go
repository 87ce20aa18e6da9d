package install

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// BenchmarkWindow measures for how long separate files are of two versions: from
// the first rename to the last. Of a directory there is one rename, and no window.
func BenchmarkWindow(b *testing.B) {
	for name, o := range map[string]renew.Output{
		"key and fullchain": {Format: "pem", Key: "www.key", Fullchain: "www.crt"},
		"all four files":    {Format: "pem", Key: "www.key", Cert: "www.leaf", Chain: "www.chain", Fullchain: "www.crt"},
		"directory":         {Format: "pem", Directory: "www"},
	} {
		b.Run(name, func(b *testing.B) {
			dir, err := filepath.EvalSymlinks(b.TempDir())
			must(b, err)
			for _, path := range []*string{&o.Key, &o.Cert, &o.Chain, &o.Fullchain, &o.Directory} {
				if *path != "" {
					*path = filepath.Join(dir, filepath.Base(*path))
				}
			}
			must(b, Write(o, numbered(0)))
			var windows []time.Duration
			for n := 1; b.Loop(); n++ {
				var first, last time.Time
				w := Writer{Around: func(op, path string, do func() error) error {
					err := do()
					if op == "rename" {
						if last = time.Now(); first.IsZero() {
							first = last
						}
					}
					return err
				}}
				must(b, w.Write(o, numbered(n)))
				windows = append(windows, last.Sub(first))
			}
			slices.Sort(windows)
			b.ReportMetric(float64(windows[len(windows)/2].Nanoseconds())/1e3, "µs-window-median")
			b.ReportMetric(float64(windows[len(windows)*99/100].Nanoseconds())/1e3, "µs-window-p99")
			b.ReportMetric(float64(windows[len(windows)-1].Nanoseconds())/1e3, "µs-window-max")
		})
	}
}
