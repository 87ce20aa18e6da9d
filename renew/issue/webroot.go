package issue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// webroots publishes challenges as files under the document roots of servers
// that run anyway.
type webroots struct {
	mu   sync.Mutex // one at a time: they make and remove the same folders
	open map[string]*webroot
}

// webroot is one document root while challenges are pending in it.
type webroot struct {
	users int
	made  []string // folders that were not there before, outermost first
}

// The folders of RFC 8555, section 8.3, below the document root.
const (
	wellKnownFolder = ".well-known"
	challengeFolder = wellKnownFolder + "/acme-challenge"
)

func newWebroots() *webroots { return &webroots{open: make(map[string]*webroot)} }

// present publishes answer for token under the document root path, until
// withdraw is called. The file is whole as soon as it can be seen, and one left
// by a crash is replaced.
func (w *webroots) present(path, token, answer string) (withdraw func(), err error) {
	if !tokens.MatchString(token) { // it becomes a file name
		return nil, refusing("the CA's token is none: %s", quote(token))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	root := w.open[path]
	if root == nil {
		root = &webroot{}
		w.open[path] = root
	}
	root.users++
	if err := root.write(path, token, answer); err != nil {
		err = errors.Join(err, w.leave(path, root))
		return nil, local(fmt.Errorf("publishing under %s: %w", path, err))
	}
	return sync.OnceFunc(func() { w.withdraw(path, token) }), nil
}

// withdraw removes the file, and the folders that we made once nobody needs
// them. What can't be removed does no harm: it proves control to one account
// for one token that is used up.
func (w *webroots) withdraw(path, token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if folder, err := openFolder(path); err == nil {
		_ = folder.Remove(token)
		_ = folder.Close()
	}
	if root := w.open[path]; root != nil {
		_ = w.leave(path, root)
	}
}

// leave gives up one use of a document root. w.mu is held.
func (w *webroots) leave(path string, root *webroot) error {
	if root.users--; root.users > 0 {
		return nil
	}
	delete(w.open, path)
	if len(root.made) == 0 {
		return nil
	}
	top, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer top.Close()
	for i := len(root.made) - 1; i >= 0; i-- {
		_ = top.Remove(root.made[i]) // stays where somebody else put something into it
	}
	return nil
}

func (r *webroot) write(path, token, answer string) error {
	if err := r.makeFolders(path); err != nil {
		return err
	}
	folder, err := openFolder(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	temporary := temporaryOf(token)
	if err := folder.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// O_EXCL: no link that somebody put here meanwhile is followed.
	file, err := folder.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(answer)
	// Whatever the umask: another user's server must read it.
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = folder.Rename(temporary, token) // replaces a link, does not follow it
	}
	if err != nil {
		_ = folder.Remove(temporary)
	}
	return err
}

// makeFolders makes the folders that are missing, readable for the server.
func (r *webroot) makeFolders(path string) error {
	top, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer top.Close()
	for _, name := range []string{wellKnownFolder, challengeFolder} {
		err := top.Mkdir(name, 0o755)
		if errors.Is(err, fs.ErrExist) {
			if err := realFolder(top, name); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		r.made = append(r.made, name)
		if err := top.Chmod(name, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// openFolder opens the folder of challenges, through no symbolic link below the
// document root: who may write into a site must not choose where a root process
// writes.
func openFolder(path string) (*os.Root, error) {
	top, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	for _, name := range []string{wellKnownFolder, challengeFolder} {
		if err := realFolder(top, name); err != nil {
			return nil, err
		}
	}
	before, err := top.Lstat(challengeFolder)
	if err != nil {
		return nil, err
	}
	folder, err := top.OpenRoot(challengeFolder)
	if err != nil {
		return nil, err
	}
	// The folder may have been exchanged for a link since it was looked at. That
	// would lead to another place of the same site at worst, but not even there.
	if now, err := folder.Stat("."); err != nil || !os.SameFile(before, now) {
		_ = folder.Close()
		return nil, fmt.Errorf("%s was exchanged while it was opened", challengeFolder)
	}
	return folder, nil
}

func realFolder(top *os.Root, name string) error {
	info, err := top.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is a symbolic link or a file, not a folder; nothing is written through it", name)
	}
	return nil
}
