// Package hooks runs an operator's reload after a certificate has changed: a
// program, a signal to the process that a pid file names, a systemd unit, or the
// runtime API of HAProxy.
//
// # The contract of a hook
//
// A hook is a [Hook]: an optional test, then a reload. The reload runs only if
// the test passed. Each of the two gets the timeout to itself (30 s unless the
// hook says otherwise).
//
// A program is an argv list. No shell is involved: what needs one starts with
// "/bin/sh", "-c". A name without a slash is searched in PATH, anything else
// must be an absolute path. It runs in the directory "/", in a process group of
// its own, with no file descriptor but the standard three.
//
// Environment, and nothing else:
//
//	PATH, LANG             those of the agent, or a plain default
//	CERTVIGIL_CERT         the certificate's name; of several, all, space-separated
//	CERTVIGIL_NAMES        its DNS names and IP addresses, space-separated; of several, all
//	CERTVIGIL_VERSION      the version that was installed, a number
//	CERTVIGIL_DIR          the directory that holds fullchain.pem and privkey.pem
//	CERTVIGIL_FULLCHAIN    the leaf and its intermediates, PEM
//	CERTVIGIL_KEY          the private key, PEM
//	CERTVIGIL_FINGERPRINT  SHA-256 of the leaf's DER, lower-case hex
//	CERTVIGIL_REASON       why it was renewed, a reason code such as ari-window
//	RENEWED_LINEAGE        as CERTVIGIL_DIR   } the two names that scripts
//	RENEWED_DOMAINS        as CERTVIGIL_NAMES } written for certbot read
//
// Where one run serves several certificates, the variables that can hold only
// one value describe the first; standard input describes them all:
//
//	{"event":"deploy","certificates":[{"certificate":"www","names":["example.com"],
//	 "version":3,"dir":"…","fullchain":"…","key":"…","fingerprint_sha256":"…","reason":"…"}]}
//
// and one newline, then end of file. A program need not read it.
//
// Exit codes: 0 acknowledges the version; 75 (EX_TEMPFAIL of sysexits.h) asks
// to be run again soon; anything else, or death by a signal, is a failure. A
// version is handed to the hook again until it has been acknowledged, and then
// still counts as served only when a handshake shows it. So a hook must be
// content to be run twice for one version.
//
// Standard output and standard error are kept together, the last 64 KiB of
// them; the last lines go into the error of a run that failed.
//
// At the timeout the whole process group gets SIGTERM, and SIGKILL 5 s later.
// A process that the program leaves behind does not hold the run up, even when
// it keeps standard output open: after exit code 0 it counts as success and is
// left alone.
//
// # One run for several certificates
//
// Certificates that change together share one run. A hook that has not run for
// the spacing, five seconds unless certificates are short-lived, runs at once,
// for all that ask within 20 ms; otherwise it runs when its last run ended that
// long ago, once for all that have asked by then. A certificate that asks while
// its hook is running gets another run afterwards, because the server may have
// read its files already. With [Hook.Each] every certificate has a run of its
// own, and there is no spacing. Hooks that do the same, whatever they are called,
// share runs as one hook does. Runs of one hook never overlap, and of all hooks
// no more than eight run at once. A run serves no more certificates than fit into
// its environment (64 KiB of names); the others follow in the next.
package hooks
