// Speed measures how soon a new certificate is proved on the wire, and what that
// costs the server: beside nginx's own time for a reload, with a thousand
// certificates at once, and under load. It asserts nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

const (
	lifetime     = 90 * 24 * time.Hour
	settlingTime = 10 * time.Minute // of a host with all its certificates; only ends what has failed
)

// options are what the parts are told.
type options struct {
	sites  []int         // how many server blocks, one row each
	during time.Duration // how long to measure a row
	certs  int           // of the bursts
}

// parts by the names that -parts has for them.
var parts = map[string]func(ctx context.Context, binary string, o options) error{"reload": reloads, "burst": bursts}

func main() {
	only := flag.String("parts", "reload,burst", "what to measure: reload (one renewal beside nginx's own time), burst (many together, without load and under it)")
	sites := flag.String("sites", "1,1000,5000", "part reload: how many server blocks nginx has")
	during := flag.Duration("during", time.Minute, "part reload: how long to measure each of them")
	certs := flag.Int("certs", 1000, "part burst: how many certificates")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, strings.Split(*only, ","), *sites, options{during: *during, certs: *certs}); err != nil {
		fmt.Fprintln(os.Stderr, "speed:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, only []string, sites string, o options) error {
	for _, n := range strings.Split(sites, ",") {
		count, err := strconv.Atoi(n)
		if err != nil || count < 1 {
			return fmt.Errorf("-sites: %q is no number of server blocks", n)
		}
		o.sites = append(o.sites, count)
	}
	for _, name := range only {
		if parts[name] == nil {
			return fmt.Errorf("-parts: there is no part %q; there is reload and burst", name)
		}
	}
	dir, err := os.MkdirTemp("", "certvigil-speed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := stage.Build(ctx, dir)
	if err != nil {
		return err
	}
	for _, name := range only {
		if err := parts[name](ctx, binary, o); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// newHost sets up a host whose hook is a HUP and nothing else, as it is measured
// by hand: "nginx -t" and "nginx -s reload" read the whole configuration once more.
// Each HUP leaves its time in the file HUPs.
func newHost(ctx context.Context, binary string, certs map[string][]string) (*stage.Host, error) {
	dir, err := os.MkdirTemp(filepath.Dir(binary), "host-")
	if err != nil {
		return nil, err
	}
	h, err := stage.NewHost(ctx, stage.Plan{Dir: dir, Binary: binary, Lifetime: lifetime, Certs: certs})
	if err != nil {
		return nil, err
	}
	err = h.Reconfigure(func(c *stage.Config) {
		c.Test = nil
		c.Reload = []string{"sh", "-c", fmt.Sprintf("date +%%s%%N >> %s; kill -HUP %d", filepath.Join(dir, "HUPs"), h.Nginx.PID())}
	})
	if err == nil {
		err = h.Nginx.EnableText("000", "server_names_hash_max_size 16384;\n")
	}
	return h, err
}

// hups lists when the hook sent one.
func hups(h *stage.Host) ([]time.Time, error) {
	text, err := os.ReadFile(filepath.Join(h.Dir, "HUPs"))
	if err != nil {
		return nil, err
	}
	var at []time.Time
	for _, line := range strings.Fields(string(text)) {
		n, err := strconv.ParseInt(line, 10, 64)
		if err != nil {
			return nil, err
		}
		at = append(at, time.Unix(0, n))
	}
	return at, nil
}
