// Package discover searches this host for the servers that show a version of a
// certificate: what endpoint "auto" stands for.
//
// Two things are looked at. The listening TCP sockets of this network namespace
// (/proc/self/net/tcp and tcp6) are asked by a handshake, after STARTTLS where
// the port is known for it; that finds whatever answers, whoever configured it.
// The configuration files of nginx, Apache and HAProxy tell what a handshake
// can't: which file a server reads its certificate from, and where it wants to be
// asked in another way (a UNIX socket, a PROXY header).
//
// A listener that answers in another protocol is not asked again while its socket
// is the same. Printers print whatever they are sent, and are never asked.
//
// Nothing here is changed, and no server is told anything. Who may not see other
// users' processes learns whose a socket is, and not which process holds it.
package discover
