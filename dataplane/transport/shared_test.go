package transport

import (
	"math/rand/v2"

	"github.com/dunlin-io/dunlin/core"
)

// shared is CPUs that several threads share: those of sides, of the iokernels before them, and
// others that have nothing to do with us. In each slice some of them run, chosen at random.
type shared struct {
	rng         *rand.Rand
	cpus        int
	threads     []*thread
	least, most core.Time // a slice
	until       core.Time
	together    bool // all threads that are somebody's run
}

// thread is one of them. What comes while it does not run waits in a ring.
type thread struct {
	side     *side // whose it is; nil: nobody's
	gone     bool
	lost     core.Time // when it lost its CPU
	wait     []flightItem
	overflow int
}

const (
	threadRing  = 1024 // frames
	threadBurst = 32   // that a turn takes
)

// share has threads of sides, with those of iokernels, and of others run on so many CPUs.
func (r *rig) share(cpus, others int, relays bool, least, most core.Time) {
	x := &shared{rng: rand.New(rand.NewPCG(3, 4)), cpus: cpus, least: least, most: most}
	for _, s := range r.sides {
		s.thread = &thread{side: s}
		x.threads = append(x.threads, s.thread)
		if relays {
			s.relay = &thread{side: s}
			x.threads = append(x.threads, s.relay)
		}
	}
	for range others {
		x.threads = append(x.threads, &thread{})
	}
	x.until = r.now
	r.shared = x
}

func (h *thread) away() bool { return h != nil && h.gone }

// keep takes something that a thread cannot take now, and reports whether it did.
func (h *thread) keep(f flightItem) bool {
	switch {
	case !h.away():
		return false
	case len(h.wait) >= threadRing && f.job == nil:
		h.overflow++
	default:
		h.wait = append(h.wait, f)
	}
	return true
}

func (x *shared) next() core.Time {
	if x == nil {
		return core.Never
	}
	return x.until
}

// turn ends a slice if it is time.
func (x *shared) turn(r *rig) {
	if x == nil || r.now < x.until {
		return
	}
	x.until = r.now + x.least + core.Time(x.rng.Int64N(int64(x.most-x.least)+1))
	order := x.rng.Perm(len(x.threads))
	var back []*thread
	x.together = true
	for i, n := range order {
		h := x.threads[n]
		was := h.gone
		h.gone = i >= x.cpus
		x.together = x.together && !(h.gone && h.side != nil)
		switch {
		case h.gone && !was:
			h.lost = r.now
		case was && !h.gone:
			back = append(back, h)
		}
	}
	for _, h := range back {
		if h.side != nil {
			h.resume(r)
		}
	}
}

// resume hands over what has waited, a burst a turn. The first burst is taken by a thread that has
// read the clock, or not, before it lost its CPU.
func (h *thread) resume(r *rig) {
	s, now := h.side, r.now
	at := now
	if r.shared.rng.IntN(2) == 0 {
		at = h.lost
	}
	wait := h.wait
	h.wait = nil
	for i, f := range wait {
		switch {
		case f.out != nil:
			r.wire(f.out, f.b)
		case h == s.relay:
			r.arrive(now, f)
		default:
			if i == threadBurst {
				at = now
			}
			r.arrive(at, f)
			if i%threadBurst == threadBurst-1 && s.e.Deadline() <= at {
				s.e.HandleTimeout(at)
			}
		}
	}
	r.drain(s)
}
