package config

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// secretMark is on every value that holds something of a secret.
type secretMark struct{}

// openFile is the mark of text that came from a file which everybody on the
// host may read: its path. It is no secret, and it must not become one.
type openFile string

func hasSecret(marks cty.ValueMarks) bool {
	_, ok := marks[secretMark{}]
	return ok
}

// callError is what a function of ours has to say. Its text never holds
// anything of a secret value, so that it may be shown as it is.
type callError string

func (e callError) Error() string { return string(e) }

// placeholder stands for what can't be had, where options.skipFiles is set; it
// is acceptable as an hmac_key and as a password.
const placeholder = "cGxhY2Vob2xkZXI"

// functions returns what can be called in a file of the folder dir.
func (d *decoder) functions(dir string) map[string]function.Function {
	return map[string]function.Function{
		"env":        d.reader("env", d.env),
		"credential": d.reader("credential", d.credential),
		"file":       d.reader("file", func(path string) (cty.Value, error) { return d.file(dir, path) }),
		"fileset":    d.fileset(dir),
		"toset":      stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
		"split":      stdlib.SplitFunc,
		"trimspace":  stdlib.TrimSpaceFunc,
		"jsondecode": jsonDecode(),
	}
}

// reader is a function from a name to text. Where the name itself is secret, so
// is the result, and its error says nothing.
func (d *decoder) reader(name string, read func(string) (cty.Value, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String, AllowMarked: true}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			arg, marks := args[0].Unmark()
			secret := hasSecret(marks)
			value, err := read(arg.AsString())
			if err != nil && secret {
				return cty.NilVal, callError(name + "() did not get what it was called with, which is secret itself")
			}
			if err != nil {
				return cty.NilVal, err
			}
			if secret || hasSecret(value.Marks()) {
				d.secrets++
			}
			return value.WithMarks(marks), nil
		},
	})
}

func (d *decoder) env(name string) (cty.Value, error) {
	value, ok := os.LookupEnv(name)
	switch {
	case !ok && d.opts.skipFiles:
		value = placeholder
	case !ok:
		return cty.NilVal, callError(fmt.Sprintf("the environment variable %s is not set: set it for the agent, under systemd with Environment= or EnvironmentFile=", quoted(name)))
	}
	return cty.StringVal(value).Mark(secretMark{}), nil
}

// credential reads a systemd credential (systemd.exec(5), CREDENTIALS).
func (d *decoder) credential(name string) (cty.Value, error) {
	if d.opts.skipFiles {
		return cty.StringVal(placeholder).Mark(secretMark{}), nil
	}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return cty.NilVal, callError(fmt.Sprintf("%s can't be the name of a credential: write the name that LoadCredential= gives it, without a path", quoted(name)))
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return cty.NilVal, callError(fmt.Sprintf("there are no credentials here, since $CREDENTIALS_DIRECTORY is not set: run under systemd with LoadCredential=%s:PATH in the unit, or set the variable to a folder that has the file", name))
	}
	path := filepath.Join(dir, name)
	d.used[path] = true
	text, _, err := readRegular(path)
	if err != nil {
		return cty.NilVal, callError(fmt.Sprintf("the credential %s can't be read (%v): add LoadCredential=%s:PATH to the unit", quoted(name), err, name))
	}
	return cty.StringVal(string(text)).Mark(secretMark{}), nil
}

// file reads a file. Whether its text is secret is in the file's mode: see the
// package's comment.
func (d *decoder) file(dir, path string) (cty.Value, error) {
	full := absolute(dir, path)
	d.used[full] = true
	text, mode, err := readRegular(full)
	switch {
	case err != nil && d.opts.skipFiles:
		return cty.StringVal(placeholder), nil
	case err != nil:
		return cty.NilVal, callError(fmt.Sprintf("the file %s can't be read (%v): write the path of a file that the agent may read", quoted(full), err))
	}
	if mode&othersRead != 0 {
		return cty.StringVal(string(text)).Mark(openFile(full)), nil
	}
	return cty.StringVal(string(text)).Mark(secretMark{}), nil
}

// fileset lists the regular files of a folder that match a glob.
func (d *decoder) fileset(dir string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{
			{Name: "folder", Type: cty.String, AllowMarked: true},
			{Name: "glob", Type: cty.String, AllowMarked: true},
		},
		Type: function.StaticReturnType(cty.Set(cty.String)),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			where, marks := args[0].Unmark()
			which, more := args[1].Unmark()
			if hasSecret(marks) || hasSecret(more) {
				return cty.NilVal, callError("fileset() was called with a secret: what it finds is shown, so write its folder and its glob out")
			}
			folder, glob := absolute(dir, where.AsString()), which.AsString()
			d.used[folder] = true
			if info, err := os.Stat(folder); err != nil || !info.IsDir() {
				if d.opts.skipFiles {
					return cty.SetValEmpty(cty.String), nil
				}
				return cty.NilVal, callError(fmt.Sprintf("fileset() finds no folder %s: write the path of one that exists", quoted(folder)))
			}
			root := os.DirFS(folder)
			matches, err := fs.Glob(root, glob)
			if err != nil {
				return cty.NilVal, callError(fmt.Sprintf("%s is not a glob: write one such as \"*.json\"", quoted(glob)))
			}
			return regularFiles(root, matches), nil
		},
	})
}

func regularFiles(root fs.FS, paths []string) cty.Value {
	var values []cty.Value
	for _, p := range paths {
		if info, err := fs.Stat(root, p); err == nil && info.Mode().IsRegular() {
			values = append(values, cty.StringVal(p))
		}
	}
	if len(values) == 0 {
		return cty.SetValEmpty(cty.String)
	}
	return cty.SetVal(values)
}

// jsonDecode is the usual jsondecode for text that does not nest without end.
func jsonDecode() function.Function {
	check := func(text string) error {
		switch {
		case bracketDepth([]byte(text)) > maxNesting:
			return callError(fmt.Sprintf("the JSON text nests too deep: use at most %d levels", maxNesting))
		case !json.Valid([]byte(text)):
			return callError("jsondecode() was given text that is not JSON: check the file with a JSON tool")
		}
		return nil
	}
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "text", Type: cty.String}},
		Type: func(args []cty.Value) (cty.Type, error) {
			if !args[0].IsKnown() {
				return cty.DynamicPseudoType, nil
			}
			if err := check(args[0].AsString()); err != nil {
				return cty.NilType, err
			}
			return stdlib.JSONDecodeFunc.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return stdlib.JSONDecodeFunc.Call(args)
		},
	})
}

// absolute returns path cleaned, and where it is relative, under dir.
func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}
