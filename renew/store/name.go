package store

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
)

const maxName = 128

// CheckName tells whether a certificate's label can be a folder's name: 1 to
// 128 letters, digits and "._@+-" of ASCII, not beginning with "." or "-".
func CheckName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("the certificate's name has %d characters; 1 to %d are possible", len(name), maxName)
	}
	bad := strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._@+-", r))
	})
	if bad >= 0 || name[0] == '.' || name[0] == '-' || strings.HasSuffix(name, ".tmp") {
		return fmt.Errorf("%q can't be a certificate's name: letters, digits and ._@+- only, "+
			"no dot or dash at its beginning, no .tmp at its end", name)
	}
	return nil
}

func certDir(name string) string           { return path.Join(certsDir, name) }
func versionsDir(name string) string       { return path.Join(certsDir, name, "versions") }
func versionDir(name string, n int) string { return path.Join(versionsDir(name), strconv.Itoa(n)) }
func livePath(name string) string          { return path.Join(liveDir, name) }

// maxNumber is the highest number of a version that is believed, wherever it
// stands: a certificate issued every second would take 31 years to get there,
// so a higher one is nobody's version, and the next after it might overflow.
const maxNumber = 1_000_000_000

func believed(n int) bool { return n > 0 && n <= maxNumber }

// parseNumber reads a version's number, in the one form that is written.
func parseNumber(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && believed(n) && strconv.Itoa(n) == text
}

// hostFolder turns the host of a directory's URL into a folder's name. Two
// hosts that become the same are told apart by the account's id.
func hostFolder(directory string) (string, error) {
	u, err := url.Parse(directory)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%.200q is not the URL of an ACME directory", directory)
	}
	host := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, strings.ToLower(u.Host))
	if host[0] == '.' || len(host) > 200 {
		return "", fmt.Errorf("%.200q has a host that can't be a folder's name", directory)
	}
	return host, nil
}
