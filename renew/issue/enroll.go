package issue

import (
	"context"

	"github.com/certvigil/certvigil/renew"
)

// Enroll sees to it that there is an account at the first issuer of cert,
// without ordering anything: the day on which another CA is down is no day to
// find out that this one wants an agreement to its terms. The error is always a
// [*renew.Failure].
func (c *Client) Enroll(ctx context.Context, cert renew.Cert) (err error) {
	op := "registering for " + cert.Name
	defer func() {
		if r := recover(); r != nil {
			err = c.panicked(op, r)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a, err := c.attempt(ctx, cert, renew.Version{}, "")
	if err == nil {
		err = a.enroll()
	}
	if err != nil {
		return c.classify(op, err, a)
	}
	return nil
}

func (a *attempt) enroll() error {
	if err := a.onHold(); err != nil {
		return err
	}
	var err error
	if a.dir, err = a.s.directory.get(a.job.ctx, a.s); err != nil {
		return err
	}
	if err := a.checkProfile(); err != nil {
		return err
	}
	return a.signIn("")
}
