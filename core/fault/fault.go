// Package fault is the one seeded model of a bad network. The in-memory link of the unit tests asks
// it what becomes of each packet; so can whatever else carries packets, and a seed that breaks one
// can be replayed against the others.
//
//	offered packet ──Judge(now, length)──> Verdict: up to MaxDeliveries deliveries, each with a
//	                                       time, a length, a bit to flip, or an older packet
//
// A [Model] stands for one direction of one path; what is wrong one way only is a Model on that
// way only. It decides and nothing else: it holds no packet, touches no byte, reads no clock and
// draws from no generator but its own. Its owner keeps packets until their time and, when replays
// are configured, the last Config.Replay.Depth packets offered.
//
// Determinism: verdicts depend on the Config, the generator's state at New, and the sequence of
// calls. Each kind of fault has a stream of its own and draws a fixed number of values for every
// packet offered, whatever happens to that packet. So removing one fault from the Config leaves
// the decisions of all others as they were, and lowering a probability only removes hits of that
// kind: a failing Config can be shrunk.
//
// Threads: a Model belongs to one thread. Judge allocates nothing.
package fault

import (
	"fmt"
	"math/rand/v2"

	"github.com/dunlin-io/dunlin/core"
)

// Kind is a kind of fault. The values index counters and seed streams: new ones go to the end.
type Kind uint8

const (
	KindCut       Kind = iota // nothing passes for a while; takes precedence over the other losses
	KindBurst                 // lost in the bad state of the Gilbert-Elliott chain
	KindLoss                  // lost independently
	KindDuplicate             // extra copies
	KindReorder               // overtaken by later packets
	KindCorrupt               // one bit flipped
	KindTruncate              // tail missing
	KindClog                  // held until a time
	KindReplay                // an older packet delivered again
	KindTail                  // delay from the heavy tail; its stream feeds all of Delay

	KindCount = iota // number of kinds
)

var kindText = [KindCount]string{
	KindCut:       "cut",
	KindBurst:     "burst",
	KindLoss:      "loss",
	KindDuplicate: "duplicate",
	KindReorder:   "reorder",
	KindCorrupt:   "corrupt",
	KindTruncate:  "truncate",
	KindClog:      "clog",
	KindReplay:    "replay",
	KindTail:      "tail",
}

func (k Kind) String() string {
	if int(k) < len(kindText) {
		return kindText[k]
	}
	return "fault?"
}

// Kinds is a set of kinds.
type Kinds uint16

// Has reports whether k is in the set.
func (s Kinds) Has(k Kind) bool { return s>>k&1 != 0 }

// Counts says what a Model did so far. Delivered = Offered - cut - burst - loss + duplicate +
// replay, always: a lost packet has one cause, and whatever else would have happened to it does
// not count.
type Counts struct {
	Offered   uint64 // calls of Judge
	Delivered uint64 // deliveries in all verdicts

	// Faults counts packets hit, by Kind. KindDuplicate counts extra copies.
	Faults [KindCount]uint64
}

// Model judges the packets of one direction of one path.
type Model struct {
	config  Config
	streams [KindCount]stream
	counts  Counts

	bad       bool      // the Gilbert-Elliott chain is in its bad state
	cutUntil  core.Time // packets offered before this are lost
	clogUntil core.Time // nothing is delivered before this
	lastAt    core.Time // no packet that keeps its place is delivered before this
}

// New makes a Model. It takes exactly two values from rng, whatever the Config, and keeps no
// reference to it.
func New(c Config, rng *rand.Rand) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &Model{config: c}
	seeds := rand.NewPCG(rng.Uint64(), rng.Uint64())
	for k := range m.streams {
		m.streams[k].pcg.Seed(seeds.Uint64(), seeds.Uint64())
	}
	return m, nil
}

// SetConfig changes what goes wrong from the next packet on, for example to heal the path after a
// phase of faults. Streams, outages that have begun and counters go on.
func (m *Model) SetConfig(c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	m.config = c
	return nil
}

// Config is the configuration in force.
func (m *Model) Config() Config { return m.config }

// Counts is a copy of the counters.
func (m *Model) Counts() Counts { return m.counts }

// Cut loses every packet offered before until; core.Never cuts for good, the present heals. It
// replaces a cut that has begun.
func (m *Model) Cut(until core.Time) { m.cutUntil = until }

// Clog holds whatever is offered from now on until the given time, after which everything arrives
// at once, in order. It replaces a clog that has begun, but not the time of packets already
// judged.
func (m *Model) Clog(until core.Time) {
	if until > latest {
		panic(fmt.Sprintf("fault: a clog until %d ns holds its packets for ever: use Cut", until))
	}
	m.clogUntil = until
}
