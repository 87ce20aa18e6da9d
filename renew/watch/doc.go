// Package watch says when something changed among a set of files, symlinks and
// directories: one channel that carries no data, for a reader who then looks at
// everything afresh.
//
// The contract is the rescan: every so often each path is looked at (inode,
// size, times, mode, where its symlinks lead), and a difference wakes. inotify
// is the accelerator: it makes that prompt, and may fail in part or as a whole
// (no watches left, no instances left, a file system that reports nothing, a
// queue that ran over) without anything being missed for longer than one
// rescan. [Watcher.Degraded] tells when it has.
//
// Watches are on directories, never on files: on the one that holds the path,
// and on those that hold the symlinks which lead to it, each once. So whatever
// replaces a file is seen: a rename over it, an editor's way of saving, a
// symlink that is flipped, a directory that is exchanged. Events for other
// names in those directories do not wake.
package watch
