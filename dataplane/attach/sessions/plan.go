package sessions

import "time"

// Of a certificate's life, renewAt of renewOf are over when the next one is asked for: there is
// time for an iokernel to be mended, and each certificate is used for most of what it may be.
// (guess)
const (
	renewAt = 2
	renewOf = 3
)

// Bounds of the pause after an attempt that failed, which doubles each time: parts of the life, so
// that there are many attempts before its end, and at most so long. (guess)
const (
	firstRetryOf = 60
	firstRetry   = time.Second
	lastRetryOf  = 12
	lastRetry    = 5 * time.Minute
	leastRetry   = 10 * time.Millisecond
)

// leastLife is what a certificate counts as that is over when it comes: an iokernel whose clock is
// wrong is not asked without a pause.
const leastLife = time.Second

// instant is one moment on both clocks.
type instant struct {
	wall   int64         // ns since 1970; it may be set
	steady time.Duration // since anything; it only runs, and stands while the machine sleeps
}

// plan is when to ask for the next certificate. It reads no clock.
//
//	took ──2/3 of its life──> due ──failed──> due after a pause ──took──> ...
type plan struct {
	at       instant       // when the certificate came
	life     time.Duration // from then on
	failures uint          // since
	tried    instant       // the last of them
}

// took notes a certificate that lasts until notAfter, in ns since 1970.
func (p *plan) took(at instant, notAfter int64) {
	*p = plan{at: at, life: max(time.Duration(notAfter-at.wall), leastLife)}
}

// failed notes that asking came to nothing.
func (p *plan) failed(at instant) {
	p.failures++
	p.tried = at
}

// due is how long it is until the next certificate is to be asked for, 0 if that is now. That part
// of the life is over is true if either clock says so: if the time of day was set forward, the old
// certificate may be over soon, and if it was set back, it is so for peers that have the right
// time.
func (p *plan) due(now instant) time.Duration {
	if p.failures > 0 {
		return max(0, p.pause()-(now.steady-p.tried.steady))
	}
	gone := max(now.steady-p.at.steady, time.Duration(now.wall-p.at.wall))
	return max(0, p.life/renewOf*renewAt-gone)
}

// pause is what lies between the last attempt and the next.
func (p *plan) pause() time.Duration {
	pause, last := min(p.life/firstRetryOf, firstRetry), min(p.life/lastRetryOf, lastRetry)
	for n := uint(1); n < p.failures && pause < last; n++ {
		pause *= 2
	}
	return max(min(pause, last), leastRetry)
}
