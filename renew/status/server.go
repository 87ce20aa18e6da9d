// Package status is how the agent is asked and told: HTTP over a UNIX socket
// (mode 0660) for the command line, and a page for browsers.
//
// Whoever may open the socket (root, the service's user and its group) may
// read. Only root and the service's own user may act; the kernel vouches for
// who they are (SO_PEERCRED). No TCP port acts on anything.
package status

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/certvigil/certvigil/renew/agent"
)

// Source is what the socket and the page show and do.
type Source interface {
	Report() agent.Report
	Plan(until time.Time) []agent.Planned
	Request(name string, force bool) error
	Preflight(ctx context.Context, name string) (agent.CertReport, error)
}

// Limits of both listeners: they serve one host's operators, not the world.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	headerBytes   = 16 << 10
	bodyBytes     = 64 << 10
)

// RenewRequest is the body of POST /v1/renew.
type RenewRequest struct {
	Name  string `json:"name"`
	Force bool   `json:"force"`
}

// PreflightRequest is the body of POST /v1/preflight.
type PreflightRequest struct {
	Name string `json:"name"`
}

// preflightTimeout bounds the answer to one: longer than a preflight takes.
const preflightTimeout = 150 * time.Second

// ServeControl answers on the control socket until ctx ends.
func ServeControl(ctx context.Context, l net.Listener, src Source, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, src.Report()) })
	mux.HandleFunc("GET /v1/plan", func(w http.ResponseWriter, r *http.Request) {
		until, err := time.Parse(time.RFC3339, r.URL.Query().Get("until"))
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		reply(w, http.StatusOK, src.Plan(until))
	})
	mux.HandleFunc("POST /v1/renew", func(w http.ResponseWriter, r *http.Request) {
		if err := mayAct(r.Context()); err != nil {
			refuse(w, http.StatusForbidden, err)
			return
		}
		var req RenewRequest
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyBytes)).Decode(&req); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		switch err := src.Request(req.Name, req.Force); {
		case errors.Is(err, agent.ErrUnknown):
			refuse(w, http.StatusNotFound, err)
		case err != nil:
			refuse(w, http.StatusInternalServerError, err)
		default:
			log.Info("renewal requested", "cert", req.Name, "force", req.Force)
			reply(w, http.StatusAccepted, req)
		}
	})
	mux.HandleFunc("POST /v1/preflight", func(w http.ResponseWriter, r *http.Request) { preflight(w, r, src) })
	return serve(ctx, l, mux)
}

// preflight opens a port and asks a CA, so it is for those who may act.
func preflight(w http.ResponseWriter, r *http.Request, src Source) {
	if err := mayAct(r.Context()); err != nil {
		refuse(w, http.StatusForbidden, err)
		return
	}
	var req PreflightRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyBytes)).Decode(&req); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	// It takes what a name server that does not answer takes.
	late := time.Now().Add(preflightTimeout)
	c := http.NewResponseController(w)
	if err := errors.Join(c.SetReadDeadline(late), c.SetWriteDeadline(late)); err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	switch found, err := src.Preflight(r.Context(), req.Name); {
	case errors.Is(err, agent.ErrUnknown):
		refuse(w, http.StatusNotFound, err)
	case err != nil:
		refuse(w, http.StatusInternalServerError, err)
	default:
		reply(w, http.StatusOK, found)
	}
}

// serve runs an HTTP server with this package's limits until ctx ends.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ConnContext: withPeer,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, MaxHeaderBytes: headerBytes,
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the reader has gone: nobody is left to tell
}

func refuse(w http.ResponseWriter, code int, err error) {
	reply(w, code, map[string]string{"error": err.Error()})
}
