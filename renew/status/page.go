package status

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"html"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/certvigil/certvigil/renew/agent"
)

//go:embed page.css
var style string

// ServePage shows the report to browsers until ctx ends: / as a page,
// /status.json as data. It can't act.
func ServePage(ctx context.Context, l net.Listener, src Source) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status.json", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, src.Report()) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Refresh", "5")
		var p page
		p.write(src.Report(), time.Now())
		_, _ = w.Write(p.Bytes()) // the reader has gone: nobody is left to tell
	})
	return serve(ctx, l, mux)
}

// page is HTML in the making. Package html/template is left out on purpose: what
// calls methods by names that it reads keeps the linker from dropping any, and
// the program would be three megabytes larger, in memory too.
type page struct{ bytes.Buffer }

// add writes format, which is HTML, with what it names escaped: as text, or as an
// attribute in quotes. It holds for nothing else, a link or a script say.
func (p *page) add(format string, values ...any) {
	for i, v := range values {
		values[i] = html.EscapeString(fmt.Sprint(v))
	}
	fmt.Fprintf(p, format, values...)
}

func (p *page) write(r agent.Report, now time.Time) {
	worst := r.Worst()
	p.add("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>certvigil: %v</title>\n", worst)
	p.WriteString("<style>\n" + style + "</style>\n")
	p.add("<h1>certvigil <span class=\"pill %v\">%v</span> <small>%v · %v · read %v</small></h1>\n",
		worst, worst, r.Version, r.Config.Path, when(r.Config.LoadedAt))
	if r.Config.Error != nil {
		p.add("<p class=\"pill critical\">The configuration on disk was not taken; the one before is in force.</p><pre>%v</pre>\n", *r.Config.Error)
	}
	p.add("<table>\n<tr><th>Certificate<th>Health<th>Stage<th>Expires<th>Next<th>Endpoints</tr>\n")
	for _, c := range r.Certificates {
		p.row(c, now)
	}
	if len(r.Certificates) == 0 {
		p.add("<tr><td colspan=\"6\" class=\"muted\">No certificate is configured.</tr>\n")
	}
	p.add("</table>\n")
}

func (p *page) row(c agent.CertReport, now time.Time) {
	p.add("<tr>\n  <td><b>%v</b> <span class=\"muted\">version %v</span><br><span class=\"muted\">%v</span>\n",
		c.Name, c.Version, strings.Join(c.Names, ", "))
	p.add("  <td><span class=\"pill %v\">%v</span>", c.Health, c.Health)
	if len(c.Findings) > 0 {
		p.add("<ul>")
		for _, f := range c.Findings {
			p.add("<li><code>%v</code> %v", f.Reason, f.Detail)
		}
		p.add("</ul>")
	}
	p.add("\n  <td>%v", c.Stage)
	if c.Busy != "" {
		p.add(" <span class=\"muted\">(%v under way)</span>", c.Busy)
	}
	p.add("\n  <td>%v<br><span class=\"muted\">%v</span>", when(c.NotAfter), left(now, c.NotAfter))
	p.add("\n  <td>%v %v<br><span class=\"muted\"><code>%v</code></span>\n  <td>", c.Next.Do, when(c.Next.At), c.Next.Reason)
	for _, e := range c.Endpoints {
		p.endpoint(e)
	}
	for _, e := range c.Older() {
		p.add("<div class=\"muted\">%v: %v (at %v)</div>", e.Address, e.Older(), when(e.CheckedAt))
	}
	if len(c.Endpoints) == 0 {
		p.add("<span class=\"muted\">none: nobody proves it</span>")
	}
	p.add("\n</tr>\n")
}

func (p *page) endpoint(e agent.EndpointReport) {
	mark, problem := "✗", ""
	if e.Served {
		mark = "✓"
	}
	if e.Error != "" {
		problem = ": " + e.Error
	}
	p.add("<div>%v %v <span class=\"muted\">%v%v</span></div>", mark, e.Address, e.Name, problem)
}

func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func left(now, t time.Time) string {
	d := t.Sub(now).Round(time.Second)
	switch {
	case t.IsZero():
		return ""
	case d <= 0:
		return "expired"
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	default:
		return d.String()
	}
}
