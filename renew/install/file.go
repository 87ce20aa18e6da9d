package install

import (
	"fmt"
	"io/fs"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

const formatPEM = "pem"

const (
	newKeyMode  fs.FileMode = 0o600
	newCertMode fs.FileMode = 0o644
)

// file is one file of an output, as it is to be.
type file struct {
	path    string
	data    []byte
	newMode fs.FileMode // where nothing else tells
}

// files lists the files of an output in the order in which they are switched.
// It refuses paths that can't be meant, whatever stands there.
func files(o renew.Output, b store.Bundle) ([]file, error) {
	if o.Format != formatPEM && o.Format != "" {
		return nil, fmt.Errorf("there is no format %q", o.Format)
	}
	var found []file
	for _, f := range []file{
		{o.Key, b.Key, newKeyMode},
		{o.Chain, b.Chain, newCertMode},
		{o.Cert, b.Cert, newCertMode},
		{o.Fullchain, b.Fullchain(), newCertMode},
	} {
		if f.path == "" {
			continue
		}
		if !filepath.IsAbs(f.path) {
			return nil, fmt.Errorf("%q is not an absolute path", f.path)
		}
		f.path = filepath.Clean(f.path)
		if name := filepath.Base(f.path); strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp") {
			return nil, fmt.Errorf("%s has the name of a temporary file: what is written beside a file, before it is switched, is named like that", f.path)
		}
		found = append(found, f)
	}
	return found, apart(found, b.StateDir)
}

// access is what the output configures: -1 and 0 leave it open.
type access struct {
	uid, gid int
	mode     fs.FileMode
}

func accessOf(o renew.Output) (access, error) {
	a := access{uid: -1, gid: -1, mode: o.Mode.Perm()}
	var err error
	if o.Owner != "" {
		if a.uid, err = number(o.Owner, userID); err != nil {
			return a, fmt.Errorf("looking up the owner %q: %w", o.Owner, err)
		}
	}
	if o.Group != "" {
		if a.gid, err = number(o.Group, groupID); err != nil {
			return a, fmt.Errorf("looking up the group %q: %w", o.Group, err)
		}
	}
	return a, nil
}

// number reads a number as it is and looks a name up.
func number(text string, lookup func(string) (string, error)) (int, error) {
	id, err := strconv.ParseUint(text, 10, 31)
	if err == nil {
		return int(id), nil
	}
	found, err := lookup(text)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(found)
}

func userID(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func groupID(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}
