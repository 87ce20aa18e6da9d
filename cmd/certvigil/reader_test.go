package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"
)

// reader looks at a live pair all the time, as a server that starts at any
// moment would: it opens the folder once and reads both files from there. Once
// there was a pair there has to be one, whole, whatever goes on.
type reader struct {
	t        *testing.T
	wrong    func(format string, args ...any) // what it met is told to it
	stop     chan struct{}
	done     sync.WaitGroup
	mu       sync.Mutex // guards what follows
	pairs    int        // different ones that were seen
	offended []string

	power sync.Mutex // held while there is none to look at anything
}

// readerEvery is short beside any step that the agent takes.
const readerEvery = time.Millisecond

// watchPair starts a reader of dir; close it to hear what it saw.
func watchPair(t *testing.T, dir string) *reader {
	return watchAny(t, func() ([]byte, error) { return readPair(dir) })
}

// watchAny starts a reader of anything. What it reads may be missing until it was
// there once.
func watchAny(t *testing.T, read func() ([]byte, error)) *reader {
	r := &reader{t: t, wrong: t.Errorf, stop: make(chan struct{})}
	r.done.Go(func() {
		tick := time.NewTicker(readerEvery)
		defer tick.Stop()
		var last []byte
		for {
			r.power.Lock()
			both, err := read()
			r.power.Unlock()
			if err != nil && (last != nil || !errors.Is(err, fs.ErrNotExist)) {
				r.offend(err)
			} else if err == nil && !bytes.Equal(both, last) {
				last = both
				r.mu.Lock()
				r.pairs++
				r.mu.Unlock()
			}
			select {
			case <-r.stop:
				return
			case <-tick.C:
			}
		}
	})
	return r
}

func (r *reader) offend(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.offended) < 10 {
		r.offended = append(r.offended, fmt.Sprintf("%s: %v", time.Now().Format("15:04:05.000"), err))
	}
}

// close ends the reader, reports what it met but whole pairs,
// and returns how many it saw.
func (r *reader) close() int {
	r.t.Helper()
	close(r.stop)
	r.done.Wait()
	for _, o := range r.offended {
		r.wrong("a reader: %s", o)
	}
	return r.pairs
}

func readPair(dir string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	key, err := root.ReadFile("privkey.pem")
	if err != nil {
		return nil, fmt.Errorf("there is a folder, and: %v", err) // not fs.ErrNotExist
	}
	full, err := root.ReadFile("fullchain.pem")
	if err != nil {
		return nil, fmt.Errorf("there is a folder, and: %v", err)
	}
	if _, err := tls.X509KeyPair(full, key); err != nil {
		return nil, err
	}
	return append(key, full...), nil
}
