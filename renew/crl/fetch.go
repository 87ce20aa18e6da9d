package crl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Limits of fetching one list.
const (
	maxList      = 16 << 20 // bytes
	maxURL       = 500
	maxRedirects = 3
	dialTimeout  = 10 * time.Second
	fetchTimeout = time.Minute
	maxHeader    = 64 << 10
)

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  dialTimeout,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // a bomb can't be unpacked that is never asked for
		DisableKeepAlives:      true, // it is a day until the next
	}
}

// newClient follows a few redirects, none to another scheme.
func newClient() *http.Client {
	return &http.Client{
		Transport: newTransport(),
		Timeout:   fetchTimeout,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errors.New("too many redirects")
			}
			if r.URL.Scheme != via[0].URL.Scheme {
				return fmt.Errorf("a redirect from %s to %q is not followed", via[0].URL.Scheme, r.URL.Scheme)
			}
			return nil
		},
	}
}

// Fetchable tells whether a distribution point's URL is one that is asked.
func Fetchable(at string) bool {
	u, err := url.Parse(at)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && len(at) <= maxURL
}

// fetch gets the bytes behind a URL.
func fetch(ctx context.Context, client *http.Client, at, agent string) ([]byte, error) {
	if !Fetchable(at) {
		return nil, errors.New("its place is no http or https URL")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", agent)
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() // nothing was written
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %d", answer.StatusCode)
	}
	if answer.ContentLength > maxList {
		return nil, fmt.Errorf("it has %d bytes, more than %d", answer.ContentLength, maxList)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxList+1))
	if err == nil && len(body) > maxList {
		err = fmt.Errorf("it has more than %d bytes", maxList)
	}
	return body, err
}
