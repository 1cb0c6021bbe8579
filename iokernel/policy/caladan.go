package policy

import "github.com/dunlin-io/dunlin/core"

// Config is what can be set about [Caladan]. A zero field means its default.
type Config struct {
	Threshold core.Time // queueing delay from which LC may take a core from LC
	Locality  core.Time // how long a core's caches are worth something to who lost it
	Slice     core.Time // how long LC keeps a core that another LC runtime wants
	Rest      core.Time // how long an unused core stays ready before it parks
	MaxHold   core.Time // how long, at most, LC keeps a core that it does not use
	Restless  bool      // never stand still, whatever moves bring: for comparison
}

// The defaults, and what no configuration changes.
const (
	// Time in which another owner has replaced what a core's first two caches held. Origin:
	// Caladan's order of magnitude; a second-level cache of 1 MiB is refilled at 10 GB/s.
	defaultLocality = 100 * core.Microsecond

	// Five times the threshold: LC runtimes that both want more than there is trade a core no more
	// often than that, so that hand-overs of 2 us take at most 4 % of it.
	defaultSlice = 50 * core.Microsecond

	// Thirty times what a wake costs both sides (20 us, and 12 us of the waker): parking then costs
	// at most 3 % more than never parking where wakes come at the worst moment.
	defaultRest = core.Millisecond

	// As long as the load of a service stays where it is, in the benchmarks. A guess.
	defaultMaxHold = 10 * core.Millisecond

	// How often it is judged whether requests suffer. Long against a loan, short against a person's
	// notice.
	window = core.Millisecond

	// Requests that a judgement needs, below which the window stays open: fewer say little about
	// their mean.
	minServed = 16

	// Most frames that one pass counts as having waited: a ring's worth, whatever is claimed.
	maxFrames = 1 << 16

	// Of so many loans that came back, at most one in so many may have lost. In simulation, where
	// cores are lent at once, 50 to 90 % of them lose at requests of 1 us and 5 to 35 % at 10 us;
	// 32 tell the one from the other with few errors and soon.
	judgedLoans = 32
	lossShare   = 2

	// By which part a hold shrinks per window: half of it is gone after 22 ms. Each time around the
	// policy loses a few loans to find out whether the world has changed. Origin: simulation; twice
	// as fast costs twice as much, and half as fast leaves holds up for longer than loads last.
	shrink = 32

	// A queue that the cores in hand will have worked off within this part of a request's time is
	// not worth another core: it adds 3 % to the 99.9th percentile of exponential service. Origin:
	// simulation with 4 to 8; with 4 the queue stays, with 8 BE gets 3 % less at 1 us.
	patience = 5

	// Of the limit, the part in eighths below which BE gets bandwidth back, and how often one core:
	// slowly, because the traffic of one more core is known only afterwards. A guess.
	calmEighths = 7
	giveBack    = core.Millisecond

	// How long before a timer a core is not parked any more: twice a wake.
	wakeLead = 50 * core.Microsecond
)

// Caladan reallocates on queueing delay, after Fried, Ruan, Ousterhout and Belay, "Caladan:
// Mitigating Interference at Microsecond Timescales" (OSDI 2020), with hand-overs in the place of
// interrupts. Beyond the package's promises it does the following.
//
//   - LC work goes to the core where its runtime was last, if that is less than Locality ago.
//   - A runtime asks for as many cores as frames wait, less those that its cores will have worked
//     off before a hand-over is done.
//   - LC takes from LC after a delay of Threshold, and then only what was not reserved; it takes no
//     core from BE either that another LC runtime has a right to, because BE gives back at once
//     and LC when its request is done.
//   - While an LC request is over its budget, BE does not run on the same physical core.
//   - While memory traffic is above its limit, the BE runtime with the most LLC misses per core
//     loses one core per reading, and gets them back one per millisecond.
//   - It stands still where moves do not pay, see [Standing].
//
// It remembers between passes what the last two need. The same snapshots give the same actions.
type Caladan struct {
	config Config
	pass   pass
	record [MaxRuntimes]record

	cap       [MaxRuntimes]int // cores that a BE runtime may have because of bandwidth
	readAt    core.Time        // of the last reading acted upon
	gaveAt    core.Time        // when BE last got a core back
	throttled bool             // some cap is in force
}

// NewCaladan returns a policy that has seen nothing yet.
func NewCaladan(c Config) *Caladan {
	for _, d := range [...]struct {
		field *core.Time
		value core.Time
	}{
		{&c.Threshold, DefaultThreshold},
		{&c.Locality, defaultLocality},
		{&c.Slice, defaultSlice},
		{&c.Rest, defaultRest},
		{&c.MaxHold, defaultMaxHold},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	p := &Caladan{config: c}
	for r := range p.cap {
		p.cap[r] = MaxCores
	}
	return p
}
