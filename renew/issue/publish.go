package issue

import (
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

// Publish answers with answer for token at the http-01 path of c's names, by the
// very solver that answers the CA, until withdraw is called: how a renewal can be
// rehearsed. token must be one that RFC 8555, section 8.3, allows. The error is
// a [*renew.Failure].
func (c *Client) Publish(cert renew.Cert, token, answer string) (withdraw func(), err error) {
	solver, ok := c.solvers[cert.Solver]
	if !ok {
		return nil, misconfigured("there is no solver %q", cert.Solver)
	}
	if !tokens.MatchString(token) {
		return nil, misconfigured("%s is no token", quote(token))
	}
	return c.publish(solver, token, answer)
}

// publish makes the solver answer for token; withdraw ends that. Both may be
// called again for one token, as they are after a crash.
func (c *Client) publish(solver config.Solver, token, answer string) (withdraw func(), err error) {
	switch solver.Type {
	case "http":
		if c.responder == nil {
			return nil, misconfigured("there is nothing that answers for solver \"%s.%s\"", solver.Type, solver.Name)
		}
		return c.responder.present(solver, token, answer)
	case "webroot":
		return c.webroots.present(solver.Path, token, answer)
	}
	return nil, misconfigured("solver %q is of the unknown type %q", solver.Name, solver.Type)
}
