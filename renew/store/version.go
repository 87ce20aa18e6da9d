package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

// The files of a version, by the names that certbot's users know.
const (
	keyFile       = "privkey.pem"
	certFile      = "cert.pem"
	chainFile     = "chain.pem"
	fullchainFile = "fullchain.pem"
	metaFile      = "meta.json"
)

var versionFiles = [...]string{keyFile, certFile, chainFile, fullchainFile, metaFile}

// maxFile is what is read of any file at most; none of them comes near.
const maxFile = 2 << 20

// settledAfter is how long a file must have lain unchanged before what was read of
// it is remembered: a change within the clock tick of the last one would leave
// the same times.
const settledAfter = 2 * time.Second

// sighting is a version as it was read, and the files' state then.
type sighting struct {
	stamp   [16]byte
	version renew.Version
}

// Versions reads every version of a certificate, the lowest number first. One
// whose files are missing, torn or don't belong together is in it with a Fault.
// Files that have not changed since the last call are not read again.
//
// An error is the host's own (permissions, descriptors, a failing disk), which
// another certificate would not mend.
func (s *Store) Versions(name string) ([]renew.Version, error) {
	st, err := s.state(name)
	if err != nil {
		return nil, err
	}
	numbers, err := s.numbers(name)
	if err != nil {
		return nil, fmt.Errorf("reading the versions of %s: %w", name, err)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	seen := make(map[int]sighting, len(numbers))
	versions := make([]renew.Version, 0, len(numbers))
	for _, n := range numbers {
		now, keep, err := s.look(name, n, st.seen[n])
		if errors.Is(err, errGone) {
			continue // pruned since it was listed
		}
		if err != nil {
			return nil, fmt.Errorf("reading version %d of %s: %w", n, name, err)
		}
		if keep {
			seen[n] = now
		}
		versions = append(versions, now.version)
	}
	st.seen = seen
	return versions, nil
}

// numbers lists the versions that there are, in order.
func (s *Store) numbers(name string) ([]int, error) {
	entries, err := s.list(versionsDir(name))
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		if n, ok := parseNumber(e.Name()); ok && e.IsDir() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

var errGone = errors.New("the version is gone")

// look returns the version as last seen where its files' state is the same,
// else reads it. keep tells whether it may be remembered.
func (s *Store) look(name string, n int, last sighting) (now sighting, keep bool, err error) {
	dir, err := s.folder.Root.OpenRoot(versionDir(name, n))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return now, false, errGone
	}
	if err != nil {
		return now, false, s.folder.failed("open", versionDir(name, n), err)
	}
	defer dir.Close() // nothing is written through it
	stamp, changed, err := stampOf(dir)
	if err != nil {
		return now, false, err
	}
	if stamp == last.stamp && last.version.N == n {
		return last, true, nil
	}
	_, version, err := read(dir, n)
	if err != nil {
		return now, false, err
	}
	return sighting{stamp, version}, time.Since(changed) > s.settled, nil
}

// stampOf digests the state of a version's files without reading them, and
// tells when one of them last changed.
func stampOf(dir *os.Root) (stamp [16]byte, changed time.Time, err error) {
	h := sha256.New()
	for _, file := range versionFiles {
		st, err := dir.Lstat(file)
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(h, "%s -\n", file)
			continue
		}
		if err != nil {
			return stamp, changed, err
		}
		inode, ctime := identity(st)
		fmt.Fprintf(h, "%s %d %d %d %d %o\n", file, inode, st.Size(), st.ModTime().UnixNano(), ctime.UnixNano(), st.Mode())
		if ctime.After(changed) {
			changed = ctime
		}
	}
	copy(stamp[:], h.Sum(nil))
	return stamp, changed, nil
}

// identity returns the inode and the time of the last change of any kind: a
// file's owner can set its modification time to what it likes, but not this.
func identity(st fs.FileInfo) (inode uint64, ctime time.Time) {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return sys.Ino, time.Unix(sys.Ctim.Unix())
	}
	return 0, st.ModTime()
}

// Read returns the files of a version. Where they can't be used, the error has
// a [*keypair.Fault] in it.
func (s *Store) Read(name string, n int) (Bundle, error) {
	if err := CheckName(name); err != nil {
		return Bundle{}, err
	}
	dir, err := s.folder.Root.OpenRoot(versionDir(name, n))
	if err != nil {
		return Bundle{}, fmt.Errorf("reading version %d of %s: %w", n, name, s.folder.failed("open", versionDir(name, n), err))
	}
	defer dir.Close() // nothing is written through it
	b, version, err := read(dir, n)
	if err == nil && version.Fault != "" {
		err = &keypair.Fault{Reason: version.Fault, Err: errors.New(version.FaultDetail)}
	}
	if err != nil {
		return Bundle{}, fmt.Errorf("reading version %d of %s: %w", n, name, err)
	}
	b.StateDir = s.dir
	return b, nil
}

// read parses a version and compares its files with each other.
func read(dir *os.Root, n int) (Bundle, renew.Version, error) {
	version := renew.Version{N: n}
	files := map[string][]byte{}
	for _, name := range versionFiles {
		data, err := readFile(dir, name)
		if fault, ok := errors.AsType[*keypair.Fault](err); ok {
			if name == metaFile {
				continue // it is rebuilt
			}
			return Bundle{}, faulty(version, fault), nil
		}
		if err != nil {
			return Bundle{}, version, err
		}
		files[name] = data
	}
	b := Bundle{Key: files[keyFile], Cert: files[certFile], Chain: files[chainFile]}
	pair, err := keypair.Parse(b.Key, files[fullchainFile])
	if fault, ok := errors.AsType[*keypair.Fault](err); ok {
		return Bundle{}, faulty(version, fault), nil
	}
	version = pair.Fill(version)
	if string(b.Fullchain()) != string(files[fullchainFile]) {
		return Bundle{}, faulty(version, &keypair.Fault{Reason: renew.Altered,
			Err: errors.New("fullchain.pem is not cert.pem followed by chain.pem")}), nil
	}
	b.Meta = metaOf(files[metaFile], pair)
	if b.Meta.Fingerprint != pair.Fingerprint {
		return Bundle{}, faulty(version, &keypair.Fault{Reason: renew.Altered,
			Err: errors.New("it holds another certificate than the one that was put there")}), nil
	}
	m := b.Meta
	version.Issuer, version.Directory, version.Account, version.Profile, version.Reason = m.Issuer, m.Directory, m.Account, m.Profile, m.Reason
	version.IssuedAt, version.Untrusted, version.Foreign = m.IssuedAt, m.Untrusted, m.Foreign
	return b, version, nil
}

func faulty(v renew.Version, fault *keypair.Fault) renew.Version {
	v.Fault, v.FaultDetail = fault.Reason, fault.Error()
	return v
}

// metaOf reads meta.json. Where it is lost or garbled, the pair is still good:
// what the certificate itself tells is put in, and by whom it was issued stays
// empty.
func metaOf(text []byte, pair keypair.Pair) Meta {
	var m Meta
	if err := json.Unmarshal(text, &m); err != nil {
		m = Meta{}
	}
	m.Fingerprint = cmp.Or(m.Fingerprint, pair.Fingerprint)
	if m.IssuedAt.IsZero() {
		m.IssuedAt = pair.NotBefore
	}
	return m
}

// readFile reads a file of a version. That it isn't there, or is no file, is a
// fault of the version's; anything else that fails is the host's.
func readFile(dir *os.Root, name string) ([]byte, error) {
	st, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &keypair.Fault{Reason: renew.Unreadable, Err: fmt.Errorf("%s is missing", name)}
	}
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &keypair.Fault{Reason: renew.Altered, Err: fmt.Errorf("%s is not a regular file", name)}
	}
	if st.Size() > maxFile || st.Size() == 0 && name != chainFile {
		return nil, &keypair.Fault{Reason: renew.Unreadable, Err: fmt.Errorf("%s has %d bytes", name, st.Size())}
	}
	return readAll(dir, name)
}

// readAll reads at most maxFile bytes.
func readAll(dir *os.Root, name string) ([]byte, error) {
	file, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, Folder{Root: dir}.failed("open", name, err)
	}
	defer file.Close() // nothing was written
	data, err := io.ReadAll(io.LimitReader(file, maxFile))
	return data, Folder{Root: dir}.failed("read", name, err)
}

// Dir is the absolute path of a version's folder.
func (s *Store) Dir(name string, n int) string {
	return filepath.Join(s.dir, filepath.FromSlash(versionDir(name, n)))
}
