package transport

// ebb lets a flow's queue run empty now and then, to see how short a round trip can be. A flow that
// began while others had a queue took that for part of the way; it aimed at a longer delay than
// they did, and pushed them out of the link: the latecomer's advantage of LEDBAT. Its successor
// slows down periodically (draft-irtf-iccrg-ledbat-plus-plus), as BBR does with ProbeRTT.
//
//	open ──ebbEvery rounds──> two frames for ebbRounds, judged by nobody ──> window as it was
type ebb struct {
	rounds int   // since the last one
	left   int   // rounds of this one; 0: none
	window int64 // to come back to
}

const (
	// ebbEvery is how many rounds are between two: at two frames the link is idle for about two
	// rounds of these. (guess: less than a hundredth)
	ebbEvery = 256
	// ebbRounds: the first ends when what was queued is gone, the second shows the way.
	ebbRounds = 2
	ebbFrames = 2
)

// ebbs moves on by a round, and reports whether it is one of an ebb.
func (c *congestion) ebbs() bool {
	e := &c.ebb
	switch {
	case e.left > 1:
		e.left--
		return true
	case e.left == 1:
		c.flood()
		return true
	}
	if c.window <= ebbFrames*c.frame || c.slow || c.shy {
		return false // it has little queued, or has not come to where it will stay
	}
	if e.rounds++; e.rounds < ebbEvery {
		return false
	}
	*e = ebb{left: ebbRounds, window: c.window}
	c.window = ebbFrames * c.frame
	return true
}

// flood ends an ebb.
func (c *congestion) flood() {
	if c.ebb.left > 0 {
		c.window, c.ebb.left = max(c.window, c.ebb.window), 0
	}
}
