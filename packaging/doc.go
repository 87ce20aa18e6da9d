// Package packaging holds what makes the agent a service of a Debian system:
// the systemd units with their sandbox, the polkit rule, the user, the default
// configuration, and the scripts that dpkg runs. There is no code in it, but
// tests.
//
// What can be judged from the files alone is tested here. test/service-test.sh
// judges the rest, in a system of its own whose PID 1 is systemd: `make
// service-test`.
package packaging
