package swarm

import (
	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/core"
)

// Limits of a scenario.
const (
	MaxHosts = 65 // an incast of 64 to 1; swarms draw fewer

	// DefaultFrames is how many link events a seed has before it is healed. Fewer would not reach
	// the states behind a restart or a change of keys, more would reach them again. (guess)
	DefaultFrames = 10_000
)

// Scenario is everything that happens to a run from outside. It is plain data: drawn from a seed,
// reduced by the shrinker, kept as JSON. Together with the seed, from which the rest is drawn, it
// gives the same run each time.
type Scenario struct {
	Seed   uint64
	Asked  uint64        // what Draw was asked for, to draw it again
	Frames uint64        // link events until the network is healed
	Script fabric.Script // what the network does
	Hosts  []Plan        // what each host is like
	Acts   []Act         // what happens to hosts
	Work   Work          // what they do
	Heal   Heal          // how it ends
}

// Plan is what one host is like.
type Plan struct {
	MTU         int       // of its interface, in bytes
	Lanes       int       // of its sessions
	KeyFrames   uint64    // that a key seals at most; 0: the transport's own bound
	MemoryBytes int       // for what arrives; 0: the transport's own bound
	PeerBytes   int       // of these, for one session
	UDP         uint8     // 0: raw frames; else over that version of IP, 4 or 6
	FrameCost   core.Time // that its core is busy for each frame in or out
	EventCost   core.Time // and for each event
	Ring        int       // frames that may wait for the core
	Burst       int       // frames that it takes at a time
	DriftPPM    int64     // how much faster its clock runs, in millionths
	ClockAt     core.Time // what its clock shows at the beginning
	Handshake   core.Time // that a job of a handshake takes
	FewNumbers  bool      // its sessions' numbers soon come again
	RenewAfter  core.Time // that sessions which it began are renewed; 0: never
	Peers       []int     // whom it begins sessions with; none: whoever the draw says
	Passive     bool      // begins no calls, messages and writes
}

// ActKind is what happens to a host.
type ActKind uint8

const (
	Pause   ActKind = iota // its core does nothing for a while
	Restart                // it loses everything, and begins again after a while
)

func (k ActKind) String() string { return [...]string{"pause", "restart"}[k] }

// Act is something that happens to a host after so many link events.
type Act struct {
	After uint64
	Host  int
	Kind  ActKind
	For   core.Time
}

// Work is what the hosts do.
type Work struct {
	Gap         core.Time // mean time between two actions of a host
	Outstanding int       // calls, messages and writes of a host under way at once
	Weights     [actions]int
	Closes      int   // sessions that a host closes at most; 0: any number
	Sizes       Sizes // of requests, messages and writes
	Replies     Sizes
	Deadline    [2]core.Time // shortest and longest, of calls and writes
	Think       core.Time    // longest time until a handler answers
	Silent      int          // of 100 handlers, how many never answer
	Refuse      int          // of 100, how many refuse
	Regions     int          // that each end of a session registers
	RegionBytes int
	Stable      int // of 100 writes, how many promise that their bytes stay
	Wild        int // of 100 writes, how many reach beyond their region, or into another's
}

// Sizes is a distribution: Small of 100 are at most 64 bytes, the rest from Least to Most, their
// order of magnitude uniform.
type Sizes struct {
	Small int
	Least int // 0: 1
	Most  int
}

// action is what a host may do next.
type action uint8

const (
	doCall action = iota
	doSend
	doWrite
	doCancel     // something under way
	doRegister   // a region more
	doDeregister // a region
	doConnect    // a second session to somebody
	doDrain      // a session
	doClose      // a session

	actions = iota
)

// Heal is the second phase: the network among some hosts gets well for good, the others stay dead
// or hear and are not heard. Everything must come to an end within a bound.
type Heal struct {
	Well  []int // hosts, at least two
	Other []Fate
}

// Fate is what becomes of a host that is not healed.
type Fate uint8

const (
	Dead Fate = iota // does nothing any more
	Mute             // hears everybody and is heard by nobody, for good
	Deaf             // is heard and hears nobody
)

func (f Fate) String() string { return [...]string{"dead", "mute", "deaf"}[f] }
