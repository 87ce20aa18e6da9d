package install

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// Writer writes outputs. The zero Writer is ready for use.
type Writer struct {
	Around store.Around // stands around each change of the disk, where it is not nil
}

// Write puts a pair in place at an output. Files that are as they should be are
// left alone; nothing is switched unless every file could be written.
//
// It refuses a directory on the way that anyone may write to (but for a sticky
// one, such as /tmp), or that belongs to another user than root, this process's
// own and the output's owner. What a group may do is taken to be the operator's
// own grant. It refuses files of the state directory, and one file for two of
// the parts. At the end everything is read back: that it returns nil means that
// [Check] found the output in place. The error names the path.
func (w Writer) Write(o renew.Output, b store.Bundle) error {
	err := w.write(o, b)
	if err == nil {
		err = readBack(o, b)
	}
	if err != nil {
		return fmt.Errorf("installing the certificate: %w", err)
	}
	return nil
}

// Write is [Writer.Write] of the zero Writer.
func Write(o renew.Output, b store.Bundle) error { return Writer{}.Write(o, b) }

func (w Writer) write(o renew.Output, b store.Bundle) error {
	all, err := files(o, b.StateDir)
	if err != nil {
		return err
	}
	t := &task{bundle: b}
	if t.access, err = accessOf(o); err != nil {
		return err
	}
	t.folders = folders{owner: t.access.uid, around: w.Around}
	defer t.folders.close()
	if o.Directory != "" {
		t.files, t.findings = all, lookInto(&t.folders, o, all, t.access, b)
		return t.flip(o.Directory)
	}
	for _, f := range all {
		folder, err := t.folders.open(filepath.Dir(f.path))
		if err != nil {
			return err
		}
		if f.look(folder, t.access, b).state != inPlace {
			t.files = append(t.files, f)
		}
	}
	return t.run()
}

// readBack tells what every call's success does not: that the output holds the
// pair. There are file systems that ignore owners and modes without an error.
func readBack(o renew.Output, b store.Bundle) error {
	switch found := Check(o, b); {
	case found.InPlace:
		return nil
	case found.Reason == renew.Drift:
		return fmt.Errorf("written, but %s: does this file system keep owners and modes?", found.Detail)
	default:
		return fmt.Errorf("written, but %s: does another program write there?", found.Detail)
	}
}

// task is the files of one output that are to be written.
type task struct {
	bundle   store.Bundle
	access   access
	files    []file
	findings []finding // how a directory stands, and the files in it
	folders  folders   // of the files' paths
}

// run writes all of the files beside their destinations, then renames them back
// to back. After a crash before the first rename all is as it was; after the
// last, all is new; in between, see the package's documentation.
func (t *task) run() error {
	for i, f := range t.files {
		if err := t.stage(f); err != nil {
			t.discard(t.files[:i])
			return err
		}
	}
	for i, f := range t.files {
		if err := t.folder(f).Publish(filepath.Base(f.path)); err != nil {
			t.discard(t.files[i+1:])
			return err
		}
	}
	var failed []error // also where nothing was written: it may have been the sync that failed last time
	for _, folder := range t.folders.opened {
		failed = append(failed, folder.SyncDir("."))
	}
	return errors.Join(failed...)
}

func (t *task) folder(f file) store.Folder { return t.folders.opened[filepath.Dir(f.path)] }

func (t *task) discard(files []file) {
	for _, f := range files {
		t.folder(f).Discard(filepath.Base(f.path))
	}
}

// stage writes one file beside its destination.
func (t *task) stage(f file) error {
	folder, name := t.folder(f), filepath.Base(f.path)
	was, err := standingOf(folder, name, f)
	if err != nil {
		return err
	}
	data, err := f.form.encode(t.bundle)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", f.path, err)
	}
	return first(t.access.choices(was), func(a store.Access) error { return folder.Stage(name, data, a) })
}
