package main

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// standIn is a TLS server that behaves as nginx does: it reads its pair when it
// starts and when it is reloaded, and keeps the one that it has where the new
// one is not to be read. A reload is a longer reloads file.
type standIn struct {
	wrong   func(format string, args ...any) // is told of a pair that can't be read
	dir     string                           // of the pair
	reloads string
	address string

	mu    sync.Mutex // guards what follows
	read  int64      // the size of reloads at the last reload
	pair  *tls.Certificate
	shown func(leaf []byte) // is told of each handshake; may be nil
}

func newStandIn(t *testing.T, dir, reloads string, wrong func(format string, args ...any)) *standIn {
	t.Helper()
	s := &standIn{wrong: wrong, dir: dir, reloads: reloads, read: -1}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: s.certificate})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	s.address = l.Addr().String()
	go s.serve(l)
	return s
}

func (s *standIn) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = conn.(*tls.Conn).HandshakeContext(context.Background()) // the client judges
		}()
	}
}

func (s *standIn) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := int64(0)
	if st, err := os.Stat(s.reloads); err == nil {
		size = st.Size()
	}
	if size != s.read {
		s.read = size
		pair, err := tls.LoadX509KeyPair(filepath.Join(s.dir, "fullchain.pem"), filepath.Join(s.dir, "privkey.pem"))
		switch {
		case err == nil:
			s.pair = &pair
		case !os.IsNotExist(err):
			s.wrong("the server could not read its pair: %v", err)
		}
	}
	if s.pair == nil {
		return nil, os.ErrNotExist
	}
	if s.shown != nil {
		s.shown(s.pair.Certificate[0])
	}
	return s.pair, nil
}

// restart forgets the pair: the next handshake reads it again.
func (s *standIn) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read, s.pair = -1, nil
}

// onHandshake has told called with the leaf of each handshake from now on.
func (s *standIn) onHandshake(told func(leaf []byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = told
}
