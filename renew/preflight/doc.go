// Package preflight looks for what would stop a renewal today, so that a human
// hears of it weeks before one is due: names that don't resolve, an address that
// is dead, port 80 that answers with something else, CAA records that name
// another CA, an account that is gone, a clock that is off, a disk that is full,
// a hook that can't be run.
//
// It orders nothing, changes nothing, and decides nothing: what it finds is an
// [renew.Obstacle], which package renew weighs. A renewal that is due is tried
// whatever a preflight found.
//
// It sees what this host sees. A CA looks from elsewhere: a host behind an
// address translation that can't reach its own public address is told of that,
// until a certificate that was issued all the same proves otherwise.
package preflight
