package faultproxy

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
)

// A bomb sends more than anybody can want, and has little of it in memory itself.

const chunk = 1 << 20 // bytes that are sent at once

// GzipBomb answers 200 and a packed body that unpacks to mebibytes MiB of zeroes:
// a thousandth of that on the wire.
func GzipBomb(mebibytes int) Action {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(make([]byte, chunk))
	_ = w.Close()
	return Action{"gzip bomb", func(c *call) {
		header := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}
		c.begin(&answer{status: http.StatusOK, header: header}, 0)
		for range mebibytes { // members follow each other (RFC 1952, section 2.2)
			if _, err := c.w.Write(packed.Bytes()); err != nil {
				return
			}
		}
	}}
}

// Endless answers 200 and JSON that nests ever deeper, for as long as somebody
// reads.
func Endless() Action {
	text := bytes.Repeat([]byte(`{"a":`), chunk/5)
	return Action{"endless", func(c *call) {
		c.begin(&answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}}, 0)
		for c.r.Context().Err() == nil && c.p.ctx.Err() == nil {
			if _, err := c.w.Write(text); err != nil {
				return
			}
		}
	}}
}

// Deep answers 200 and whole JSON that is depth objects deep.
func Deep(depth int) Action {
	body := strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth)
	a := Status(http.StatusOK, "application/json", body)
	a.name = fmt.Sprintf("%d deep", depth)
	return a
}

// Headers answers 200 with n Link headers. It needs a proxy with Options.HTTP1,
// since it writes them by hand; elsewhere it panics.
func Headers(n int) Action {
	line := []byte("Link: <https://ca.example/directory>;rel=\"index\"\r\n")
	return Action{"headers", func(c *call) {
		conn, buf, err := http.NewResponseController(c.w).Hijack()
		if err != nil {
			panic("faultproxy: Headers needs Options.HTTP1: " + err.Error())
		}
		defer conn.Close()
		c.Status = http.StatusOK
		_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
		for range n {
			if _, err := buf.Write(line); err != nil {
				return
			}
		}
		_, _ = buf.WriteString("Content-Length: 2\r\n\r\n{}")
		_ = buf.Flush()
	}}
}
