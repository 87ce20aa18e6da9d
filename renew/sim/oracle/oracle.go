// Package oracle judges a simulated history. It is told what went wrong with the
// world, and when (the fault trace), and what every endpoint answered with; it
// says where clients saw a bad certificate, and whether somebody who does all
// that can be done would have kept them from it.
//
// It shares no code with the agent: it imports nothing but the standard library,
// which a test asserts. Its notions of "due" and of "long enough" are its own,
// and stand here to be argued with:
//
//   - Due is when a third of the lifetime is left, half of it for lifetimes under
//     ten days. The time from there to the end is the slack.
//   - An occasion to issue is a stretch of a quarter of an hour and an eighth of
//     the slack, a day at most, and a fifth more for jitter, in which one and the
//     same CA answered and could validate every name, and the host was up, with a
//     right clock and a disk that takes writes. Where nothing valid was held that
//     eighth is three hours at most.
//   - The first CA is the operator's choice: another is an occasion once 40 % of
//     the slack are gone. A dead name among several is in the way until half is.
//   - An occasion to deploy is a stretch of ten minutes in which the host was up,
//     its disk took writes, and its server could be reloaded.
//   - Every fault that strikes once (a bad certificate from the CA, a hook that
//     fails) makes the occasion it falls into that much longer.
//   - A good outcome was possible at a moment if, since the certificate was due
//     (or since an outsider destroyed what was in place), an occasion to issue and
//     after it an occasion to deploy had passed. A lapse is preventable from
//     there on.
package oracle

import "time"

// Span is a stretch of time, from the start of the history; To is not in it.
type Span struct{ From, To time.Duration }

// Leaf is a certificate that a server answered with.
type Leaf struct {
	NotBefore, NotAfter time.Duration
	// Flaw is why a client refuses it whatever the time; empty where it does not.
	Flaw string
	// Lie tells that the flaw is the CA's: nobody had to deploy it.
	Lie bool
}

// Serving is a stretch in which an endpoint answered with one leaf. None means
// that nothing answered although the host was up.
type Serving struct {
	Span
	Leaf Leaf
	None bool
	// Outsider tells that somebody else than the agent had it served.
	Outsider bool
}

// Damage is an outsider's act that undid what was in place.
type Damage struct {
	At time.Duration
	// Lost tells that what is in place can't be restored without the CA.
	Lost bool
}

// Obstacles is what stood in the way.
type Obstacles struct {
	CAs    [][]Span // in the way of issuing, for each CA configured
	Issue  []Span   // in the way of issuing, whichever the CA
	Veto   []Span   // one name of several can't be validated: in the way until half of the slack is gone
	Deploy []Span   // in the way of deploying
	Down   []Span   // the host did not run: in the way of both, and nothing answered
	// Single faults, by when they began to lie in wait.
	IssueOnce, DeployOnce []time.Duration
	Damage                []Damage
}

// Case is one endpoint's history.
type Case struct {
	Served    []Serving // in order, without gaps
	Obstacles Obstacles
	Alarms    []Span // when the agent's health was not ok
}

// Lapse is a stretch in which clients saw a bad certificate.
type Lapse struct {
	Span
	Why string
	// Possible is from when on a good outcome was possible; past To where never.
	Possible time.Duration
	// Unheard tells that no alarm was raised before half of the slack was gone.
	Unheard bool
}

// Preventable tells whether some of the lapse need not have been.
func (l Lapse) Preventable() bool { return l.Possible < l.To }

// Harm is how long clients saw a bad certificate that they need not have seen.
func (l Lapse) Harm() time.Duration { return max(0, l.To-max(l.From, l.Possible)) }

const (
	never     = time.Duration(1<<63 - 1)
	day       = 24 * time.Hour
	shortLife = 10 * day

	loyalGone    = 0.4
	slackShare   = 8
	longestRetry = day
	bareRetry    = 3 * time.Hour
	spread       = 1.2
	overhead     = 15 * time.Minute
	deployTime   = 10 * time.Minute
)

// slack is the time between due and the end of a certificate of that lifetime.
func slack(life time.Duration) time.Duration {
	if life < shortLife {
		return life / 2
	}
	return life / 3
}

// issueTime is how long an occasion to issue has to last.
func issueTime(life time.Duration) time.Duration {
	if life <= 0 {
		return time.Duration(float64(bareRetry)*spread) + overhead
	}
	return time.Duration(float64(min(longestRetry, slack(life)/slackShare))*spread) + overhead
}

// Judge returns every lapse of c, the earliest first.
func Judge(c Case) []Lapse {
	var all []Lapse
	for _, s := range c.Served {
		for _, bad := range s.bad() {
			for _, part := range without(bad.Span, c.Obstacles.Down) {
				bad.Span = part
				bad.Possible = c.possible(s, bad)
				bad.Unheard = c.unheard(s, bad)
				all = append(all, bad)
			}
		}
	}
	return all
}

// bad returns the parts of the serving in which a client refuses it.
func (s Serving) bad() []Lapse {
	switch {
	case s.From >= s.To:
		return nil
	case s.None:
		return []Lapse{{Span: s.Span, Why: "no answer"}}
	case s.Leaf.Flaw != "":
		return []Lapse{{Span: s.Span, Why: s.Leaf.Flaw}}
	}
	var all []Lapse
	if early := (Span{s.From, min(s.To, s.Leaf.NotBefore)}); early.From < early.To {
		all = append(all, Lapse{Span: early, Why: "not yet valid"})
	}
	if late := (Span{max(s.From, s.Leaf.NotAfter), s.To}); late.From < late.To {
		all = append(all, Lapse{Span: late, Why: "expired"})
	}
	return all
}

// possible is from when on the lapse need not have been.
func (c Case) possible(s Serving, bad Lapse) time.Duration {
	o := c.Obstacles
	life := s.Leaf.NotAfter - s.Leaf.NotBefore
	switch {
	case s.Leaf.Lie:
		return bad.From // nobody had to deploy it
	case bad.Why == "expired" && !s.Outsider:
		from := max(0, s.Leaf.NotAfter-slack(life))
		at := o.deployed(o.issued(since{due: from, left: from + time.Duration(loyalGone*float64(slack(life))), half: s.Leaf.NotAfter - slack(life)/2}, issueTime(life)))
		for _, d := range o.Damage {
			if d.At <= from || d.At > bad.From {
				continue // it may have been good before
			}
			again := d.At
			if d.Lost {
				again = o.issued(since{d.At, d.At + day, d.At}, issueTime(life)) // an older one held the fort
			}
			at = max(at, o.deployed(again))
		}
		return at
	}
	// Nothing answers, or it is an outsider's doing.
	at, lost := bad.From, s.From == 0
	for _, d := range o.Damage {
		if d.At <= bad.From && d.Lost {
			lost = true // in doubt: it may have been made good since
		}
	}
	if lost {
		at = o.issued(since{at, at, at}, issueTime(0))
	}
	return o.deployed(at)
}

// since is from when on there are occasions to issue: of the first CA, of the
// others, and of all of them without a dead name.
type since struct{ due, left, half time.Duration }

// issued is when the first occasion to issue has passed.
func (o Obstacles) issued(s since, lasts time.Duration) time.Duration {
	best := never
	from := s.due
	for _, ca := range o.CAs {
		best = min(best, occasion(from, lasts, o.IssueOnce, ca, o.Issue, o.Veto, o.Down),
			occasion(s.half, lasts, o.IssueOnce, ca, o.Issue, o.Down))
		from = s.left
	}
	return best
}

// deployed is when the first occasion to deploy after from has passed.
func (o Obstacles) deployed(from time.Duration) time.Duration {
	if from == never {
		return never
	}
	return occasion(from, deployTime, o.DeployOnce, o.Deploy, o.Down)
}

// unheard tells whether a lapse by expiry came without a word in time: with the
// host up for two hours of the second half of the slack and no alarm in it; of
// one that had expired when it was put in place, of the three hours after that.
func (c Case) unheard(s Serving, bad Lapse) bool {
	if bad.Why != "expired" || s.Outsider {
		return false
	}
	half := Span{max(0, s.Leaf.NotAfter-slack(s.Leaf.NotAfter-s.Leaf.NotBefore)/2), s.Leaf.NotAfter}
	if s.From > half.To { // it was put there expired, in place of one that was lost
		half = Span{s.From, s.From + 3*time.Hour}
	}
	up := time.Duration(0)
	for _, part := range without(half, c.Obstacles.Down) {
		up += part.To - part.From
	}
	return up > 2*time.Hour && !overlaps(half, c.Alarms)
}
