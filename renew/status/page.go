package status

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
)

//go:embed page.html
var pageHTML string

// ServePage shows the report to browsers until ctx ends: / as a page,
// /status.json as data. It can't act.
func ServePage(ctx context.Context, l net.Listener, src Source) error {
	page, err := template.New("page").Funcs(template.FuncMap{"when": when, "left": left}).Parse(pageHTML)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status.json", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, src.Report()) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Refresh", "5")
		r := src.Report()
		_ = page.Execute(w, view{r, r.Worst(), time.Now()}) // the reader has gone: nobody is left to tell
	})
	return serve(ctx, l, mux)
}

// view is what the page is made from.
type view struct {
	Report agent.Report
	Worst  renew.Level
	Now    time.Time
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
