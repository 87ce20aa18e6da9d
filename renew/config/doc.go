// Package config turns the configuration language (HCL 2, in its native syntax
// and in JSON) into checked values, or into diagnostics that say where, what and
// what to write instead. All problems of a configuration are collected; where
// one of them is an error, there is no configuration at all.
//
// # References
//
// issuer.NAME, solver.TYPE.NAME and hook.NAME are written bare, one by one:
// they are looked up, not computed. In JSON they are strings of that form.
// local.NAME, each.key and each.value are values and stand anywhere in an
// expression. A certificate with for_each (a map, an object or a set of
// strings) becomes one certificate for each element; the one of the element
// KEY under the label "site" is called site-KEY.
//
// # Functions
//
//	env(name)              an environment variable; secret
//	credential(name)       a systemd credential, from $CREDENTIALS_DIRECTORY; secret
//	file(path)             a file's text; secret where others may not read the file
//	fileset(folder, glob)  the set of regular files that match, relative to folder
//	toset, split, trimspace, jsondecode
//
// Relative paths are relative to the folder of the file they are written in.
//
// # Secrets
//
// What env and credential return is always secret. What file returns is secret
// exactly where the file's mode keeps others from reading it: what everybody on
// the host can read hides nothing, and so it may be a name or a path, and may
// not be an hmac_key or a password. The mark sticks to all that is computed from a secret. A
// secret is accepted only where it is kept in a [Secret]; anywhere else (names,
// paths, commands) it is an error. A source line on which a secret stands is
// never shown; see [Diagnostics].
package config
