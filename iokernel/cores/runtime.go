package cores

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// Backlog is what waits in a runtime's ports.
type Backlog struct {
	Waiting int       // frames that no worker has taken
	Delay   core.Time // how long the oldest of them has been seen to wait
	Taken   uint64    // frames that workers have taken since the start
}

// Ports are the ports of one runtime, as the Dataplane sees them.
type Ports interface {
	Backlog(now core.Time) Backlog
	Any() bool // something waits; cheap
}

// RuntimeConfig describes a runtime that gets cores. Everything in it comes from the iokernel's
// configuration, nothing from the runtime.
type RuntimeConfig struct {
	Name     string
	Class    policy.Class
	Reserved int
	Most     int       // 0: all
	Quantum  core.Time // of BE
	Budget   core.Time // of an LC request, until it wants its whole physical core; 0: none
	// Ports and Load are of a runtime with workers, one on each core; both nil for a guest.
	Ports Ports
	Load  *baton.Load
}

// Runtime is one that gets cores.
type Runtime struct {
	config  RuntimeConfig
	place   int
	id      uint64
	owner   baton.Owner
	watches []baton.Watch // by core; none for a guest
	running bool          // its threads are known
	guest   bool

	held    int       // cores that it works on or is about to; counted in each pass
	ready   int       // of these, those where it has nothing to do; counted in each pass
	backlog Backlog   // of the last pass
	sated   bool      // BE: a worker has found nothing to do, and nothing has come since
	denials uint      // passes in a row in which it had work and no core
	parked  bool      // a worker has parked since the last pass
	wanted  core.Time // since when it was seen to have none for what is no frame; 0: not so
	served  uint64    // changes when some of that is served
	errand  errand

	delays      Histogram
	time        core.Time // on all cores, until since of each
	busy        core.Time // of it, by sampling, with a request in hand
	grants      uint64
	revocations uint64
	demotions   uint64
	stuck       uint64
	misses      misses
}

// still is how long a worker's loop may stand while it has its core, before that is counted.
// (guess: far longer than a request that shares its core with anybody should take)
const still = 100 * core.Millisecond

// Attach adds a runtime. It gets no core before Run.
func (s *Scheduler) Attach(c RuntimeConfig) (*Runtime, error) {
	guest := c.Load == nil
	if c.Class != policy.LatencyCritical && c.Class != policy.BestEffort ||
		guest && c.Class != policy.BestEffort || guest != (c.Ports == nil) {
		return nil, fmt.Errorf("cores: %s: class %d, ports and load page %v: want LC or BE, and "+
			"BE for a guest", c.Name, c.Class, !guest)
	}
	if !guest && c.Load.Workers() < len(s.seats) {
		return nil, fmt.Errorf("cores: %s: a load page for %d workers, and %d cores are lent",
			c.Name, c.Load.Workers(), len(s.seats))
	}
	place := 0
	for place < len(s.runtimes) && s.runtimes[place] != nil {
		place++
	}
	if place == len(s.runtimes) {
		return nil, fmt.Errorf("cores: %s: %d runtimes have cores lent, which is the limit",
			c.Name, len(s.runtimes))
	}
	if c.Most == 0 {
		c.Most = len(s.seats)
	}
	s.ids++
	r := &Runtime{
		config: c, place: place, id: s.ids, owner: baton.Owner(place + 1), guest: guest,
	}
	if !guest {
		for i := range s.seats {
			r.watches = append(r.watches, baton.NewWatch(c.Load.Line(i), r.owner, still))
		}
		r.errand = newErrand(len(s.seats))
	}
	s.runtimes[place] = r
	s.count++
	return r, nil
}

// Run lets a runtime have cores from now on: its workers' threads are known. The threads of BE
// workers give way to all others.
func (s *Scheduler) Run(now core.Time, r *Runtime) {
	r.running = true
	r.errand.at = now // it has had no core in which to say what it has to do
	if r.config.Class == policy.BestEffort && !r.guest {
		for i := range s.seats {
			s.config.Hands.Demote(i, r.owner)
		}
	}
	s.next = now
}

// Detach takes a runtime out, and its cores back. Its memory may be unmapped afterwards.
func (s *Scheduler) Detach(now core.Time, r *Runtime) {
	if s.runtimes[r.place] != r {
		return
	}
	for i := range s.seats {
		k := &s.seats[i]
		s.book(now, k)
		if k.occupant == int16(r.place) {
			k.occupant = policy.None
		}
		k.past[r.config.Name] += k.times[r.place]
		k.times[r.place] = 0
		if k.lender.Word().Owner() == r.owner {
			s.grant(now, i, baton.Nobody)
		}
		k.lender.Gone(r.owner)
		if k.last == int16(r.place) {
			k.last = policy.None
		}
		if k.failed == int16(r.place) {
			k.failed = policy.None
		}
		k.named &^= 1 << r.place
	}
	s.runtimes[r.place] = nil
	s.count--
	s.busy = true
	for i := 0; i < len(s.stuck); {
		if s.stuck[i].Runtime == r {
			s.stuck = append(s.stuck[:i], s.stuck[i+1:]...)
			continue
		}
		i++
	}
	s.next = now
}

// Owner is what a baton's word says when a core is the runtime's.
func (r *Runtime) Owner() baton.Owner { return r.owner }

// Name is the runtime's.
func (r *Runtime) Name() string { return r.config.Name }
