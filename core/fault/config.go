package fault

import (
	"errors"
	"fmt"

	"github.com/dunlin-io/dunlin/core"
)

// latest is the last time at which anything may be delivered: 146 years after the clock began, and
// far enough from overflow that delays can be added without a check.
const latest = core.Never / 2

const (
	// MaxDuration is the longest duration a Config may hold, but for a cut that never heals. It
	// keeps every sum of durations far from overflow; longer holds are cuts to whoever waits.
	MaxDuration = 3600 * core.Second

	// MaxExtraCopies is the most copies that duplication adds to a packet. A guess: one is what
	// networks do, more is what a routing loop does for a moment.
	MaxExtraCopies = 3

	// MaxReplayDepth is the most packets an owner may be asked to keep for replays. It is above
	// the 8,128 of the widest replay window we know (WireGuard's), so that both sides of such a
	// window are reached.
	MaxReplayDepth = 10_000
)

// Config says what goes wrong on a path and how often. The zero Config is a perfect path without
// delay. Probabilities are per packet offered, 0 to 1; durations are 0 to MaxDuration.
type Config struct {
	Delay     Delay
	Loss      float64 // each packet is lost with this probability
	Burst     Burst
	Duplicate Duplicate
	Reorder   Reorder
	Corrupt   float64 // one bit of the packet is flipped with this probability
	Truncate  Truncate
	Clog      Outage // everything offered meanwhile is held until the end
	Cut       Outage // everything offered meanwhile is lost
	Replay    Replay
}

// Delay is how long a packet travels: Fixed, plus uniform jitter in [0, Jitter], plus, with
// probability TailProbability, a Pareto variable of shape 1: it exceeds x with probability Tail/x,
// and is cut off at TailMax. Delay alone never changes the order: who is slow holds up those
// behind, as in a queue.
type Delay struct {
	Fixed, Jitter   core.Time
	TailProbability float64
	Tail, TailMax   core.Time
}

// Burst loses packets in bursts (Gilbert 1960, Elliott 1963): a chain of two states steps once per
// packet, from good to bad with probability Enter and back with Leave; in the bad state a packet
// is lost with probability Loss. The mean burst is 1/Leave packets long, and Enter/(Enter+Leave)
// of the packets meet the bad state.
type Burst struct {
	Enter, Leave, Loss float64
}

// Duplicate adds 1 to Copies copies of a packet, each up to Spread later than the packet. They are
// copies of what was offered: corruption and truncation strike the first delivery only. A lost
// packet has no copies.
type Duplicate struct {
	Probability float64
	Copies      int // 1 to MaxExtraCopies
	Spread      core.Time
}

// Reorder delays a packet by up to Delay more, during which later ones overtake it.
type Reorder struct {
	Probability float64
	Delay       core.Time
}

// Truncate cuts a packet to a uniform length from Floor to one byte less than it has. Packets not
// longer than Floor are spared.
type Truncate struct {
	Probability float64
	Floor       int // bytes; 14 where a device refuses less than an Ethernet header
}

// Outage begins with probability Start at each packet, that packet included, and lasts from
// Shortest to Longest, uniformly. Outages that overlap end with the later one. A cut, but not a
// clog, may have both at core.Never: it does not heal.
type Outage struct {
	Start             float64
	Shortest, Longest core.Time
}

// Replay delivers one of the last Depth packets once more, as it was offered, up to Spread after
// the packet at hand.
type Replay struct {
	Probability float64
	Depth       int // packets; 1 to MaxReplayDepth
	Spread      core.Time
}

// Validate reports every field that is out of its range.
func (c Config) Validate() error {
	var v validator
	v.probability("Delay.TailProbability", c.Delay.TailProbability)
	v.duration("Delay.Fixed", c.Delay.Fixed)
	v.duration("Delay.Jitter", c.Delay.Jitter)
	v.duration("Delay.Tail", c.Delay.Tail)
	v.duration("Delay.TailMax", c.Delay.TailMax)
	if c.Delay.TailProbability > 0 {
		v.require(c.Delay.Tail > 0 && c.Delay.Tail <= c.Delay.TailMax,
			"Delay.Tail is %d ns, possible are 1 to Delay.TailMax, %d",
			c.Delay.Tail, c.Delay.TailMax)
	}
	v.probability("Loss", c.Loss)
	v.probability("Burst.Enter", c.Burst.Enter)
	v.probability("Burst.Leave", c.Burst.Leave)
	v.probability("Burst.Loss", c.Burst.Loss)
	v.require(c.Burst.Enter <= 0 || c.Burst.Leave > 0,
		"Burst.Leave is %v: the first burst would never end; a Cut says that", c.Burst.Leave)
	v.probability("Duplicate.Probability", c.Duplicate.Probability)
	v.duration("Duplicate.Spread", c.Duplicate.Spread)
	v.amount("Duplicate.Copies", c.Duplicate.Copies, c.Duplicate.Probability, MaxExtraCopies)
	v.probability("Reorder.Probability", c.Reorder.Probability)
	v.duration("Reorder.Delay", c.Reorder.Delay)
	v.require(c.Reorder.Probability <= 0 || c.Reorder.Delay > 0,
		"Reorder.Delay is 0: nothing would be overtaken")
	v.probability("Corrupt", c.Corrupt)
	v.probability("Truncate.Probability", c.Truncate.Probability)
	v.require(c.Truncate.Floor >= 0, "Truncate.Floor is %d bytes", c.Truncate.Floor)
	v.outage("Clog", c.Clog, false)
	v.outage("Cut", c.Cut, true)
	v.probability("Replay.Probability", c.Replay.Probability)
	v.duration("Replay.Spread", c.Replay.Spread)
	v.amount("Replay.Depth", c.Replay.Depth, c.Replay.Probability, MaxReplayDepth)
	return errors.Join(v.errs...)
}

// validator collects what is wrong with a Config.
type validator struct{ errs []error }

func (v *validator) require(ok bool, format string, args ...any) {
	if !ok {
		v.errs = append(v.errs, fmt.Errorf("fault: "+format, args...))
	}
}

// probability is written so that NaN fails.
func (v *validator) probability(field string, p float64) {
	v.require(p >= 0 && p <= 1, "%s is %v, possible are 0 to 1", field, p)
}

func (v *validator) duration(field string, d core.Time) {
	v.require(d >= 0 && d <= MaxDuration, "%s is %d ns, possible are 0 to %d",
		field, d, MaxDuration)
}

// amount checks a number that means something only if the fault exists.
func (v *validator) amount(field string, n int, probability float64, most int) {
	least := 0
	if probability > 0 {
		least = 1
	}
	v.require(n >= least && n <= most, "%s is %d, possible are %d to %d", field, n, least, most)
}

func (v *validator) outage(field string, o Outage, mayStay bool) {
	v.probability(field+".Start", o.Start)
	if mayStay && o.Shortest == core.Never && o.Longest == core.Never {
		return
	}
	v.duration(field+".Shortest", o.Shortest)
	v.duration(field+".Longest", o.Longest)
	v.require(o.Shortest <= o.Longest, "%s.Shortest, %d ns, exceeds Longest, %d",
		field, o.Shortest, o.Longest)
}
