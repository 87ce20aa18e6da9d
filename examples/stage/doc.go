// Package stage is what every demonstration, soak and end-to-end test stands
// on: a real CA in this process ([CA]), a real nginx in a folder of its own
// ([Nginx]) and the real agent binary ([Agent]), together on free loopback
// ports ([Host]). Other servers of Debian's are a [Server] each.
//
// A real host begins with a server that is up and a site that has no
// certificate yet, and nginx refuses to load a server block whose files are
// missing. The order here is therefore: nginx starts without sites; their
// server blocks, which name live/<name>/fullchain.pem, are written beside it
// ([Nginx.Enable]); the agent issues; and the first reload switches them on.
// Until every site's pair is there, `nginx -t` fails and the running
// configuration stays, as it would on any host.
//
// Whatever is started here ends with its owner: by Close, and where this
// process is killed, by the kernel's parent-death signal. Processes are only
// ever ended by the id that they were started with.
package stage
