package baton

import "github.com/dunlin-io/dunlin/core"

// Sight is what a worker says, clamped: every value is one that an honest worker could have.
type Sight struct {
	Waited core.Time // how long the oldest runnable task has waited, at most MaxAge; 0: none waits
	Worked core.Time // how long the request in hand has taken, at most MaxAge
	Busy   bool      // a request is in hand, be it since just now
	Stood  core.Time // how long the loop has not gone round, at most MaxAge
	Timer  core.Time // when the next timer is due that only it serves; core.Never: none is
	Queued int       // runnable tasks, at most MaxQueued
	Ack    Word      // the grant that the worker took up last; 0: none to this owner
	State  State
}

// Bounds of what is believed.
const (
	// MaxAge is the longest wait that makes a difference to anybody. (guess: 1,000 times what any
	// policy still tells apart)
	MaxAge = core.Second

	// MaxQueued is the longest queue. (guess: more than fit into the memory of a runtime's worker)
	MaxQueued = 1 << 20

	// ahead is how far times may lie in the future: the reader's is from the beginning of its pass,
	// and it may have lost its CPU since. (guess: a few time slices of a scheduler)
	ahead = 10 * core.Millisecond
)

// Nonsense is a kind of statement that no honest worker makes.
type Nonsense uint8

// The kinds of nonsense. One is counted at each look that meets it, a standing beat once.
const (
	FutureTask      Nonsense = iota // a runnable task waits since a time to come
	FutureRequest                   // a request was begun at a time to come
	NegativeTime                    // a time before the clock began
	QueueRange                      // a negative or impossible number of tasks
	UnknownState                    // a state that there is not
	ForeignAck                      // a grant to somebody else was taken up
	StandingBeat                    // it runs on its own core, and its loop does not go round
	nonsenseReasons                 //
)

// Counts are how much nonsense there was, by kind.
type Counts [nonsenseReasons]uint64

// Sum is how much there was of all kinds.
func (c Counts) Sum() (n uint64) {
	for _, k := range c {
		n += k
	}
	return n
}

// Watch reads the line of one worker. It belongs to the iokernel's thread.
type Watch struct {
	line   *Line
	owner  Owner
	still  core.Time // how long a loop may stand
	beats  uint32    // as last seen
	beaten core.Time // when they were first seen so
	seen   bool
	stands bool // counted
	counts Counts
}

// NewWatch returns a watch over the line of a worker of that owner, whose loop goes round within
// still while it has its core.
func NewWatch(l *Line, o Owner, still core.Time) Watch {
	return Watch{line: l, owner: o, still: still}
}

// Nonsense is what the worker has said so far that cannot be.
func (w *Watch) Nonsense() Counts { return w.counts }

// State is what the worker says of itself, and nothing else: one load.
func (w *Watch) State() State {
	s := w.line.state.Load()
	if s >= uint32(states) {
		w.counts[UnknownState]++
		return Running // whom nobody relies on: a grant that is not taken up is followed up
	}
	return State(s)
}

// Beats is how often the worker's loop has gone round, and how often it was woken: when it changes,
// the thread has run.
func (w *Watch) Beats() uint32 { return w.line.beats.Load() }

// Ack is the grant that the worker says that it took up last, as it is: only whether it is the
// right one means anything.
func (w *Watch) Ack() Word { return Word(w.line.ack.Load()) }

// Asked reports whether somebody has asked and was not heard yet. Whatever is written there, it can
// say no more than a timer that is always past.
func (w *Watch) Asked() bool { return w.line.asks.Load() != w.line.heard.Load() }

// Heard is how many asks were heard: when it changes, a worker has looked.
func (w *Watch) Heard() uint32 { return w.line.heard.Load() }

// Due is when the next timer is due that any worker of the runtime serves; core.Never: none is.
func (w *Watch) Due() core.Time {
	return w.deadline(w.line.due.Load())
}

// Look reads the line; the worker's core says word.
func (w *Watch) Look(now core.Time, word Word) Sight {
	l := w.line
	s := Sight{
		Waited: w.age(now, l.oldest.Load(), FutureTask),
		Worked: w.age(now, l.began.Load(), FutureRequest),
		Timer:  w.deadline(l.timer.Load()),
		Queued: int(l.queued.Load()),
		Ack:    Word(l.ack.Load()),
		State:  w.State(),
	}
	began := core.Time(l.began.Load())
	s.Busy = began > 0 && began-ahead <= now
	if s.Queued < 0 || s.Queued > MaxQueued {
		w.counts[QueueRange]++
		s.Queued = max(0, min(s.Queued, MaxQueued))
	}
	if s.Ack != 0 && s.Ack.Owner() != w.owner {
		w.counts[ForeignAck]++
		s.Ack = 0
	}
	s.Stood = w.stood(now, s.State == Running && s.Ack == word)
	return s
}

// deadline is what one that stands in the line says.
func (w *Watch) deadline(at int64) core.Time {
	if at < 0 {
		w.counts[NegativeTime]++
	}
	if at <= 0 {
		return core.Never
	}
	return core.Time(at)
}

// age is how long ago since was.
func (w *Watch) age(now core.Time, since int64, future Nonsense) core.Time {
	switch t := core.Time(since); {
	case t == 0:
		return 0
	case t < 0:
		w.counts[NegativeTime]++
		return 0
	case t > now:
		if t-now > ahead {
			w.counts[future]++
		}
		return 0
	default:
		return min(now-t, MaxAge)
	}
}

// stood is how long the beats have been the same. A worker that does not have its core may stand.
func (w *Watch) stood(now core.Time, working bool) core.Time {
	beats := w.line.beats.Load()
	if beats != w.beats || !w.seen || !working {
		w.seen, w.beats, w.beaten, w.stands = true, beats, now, false
		return 0
	}
	stood := min(now-w.beaten, MaxAge)
	if stood >= w.still && !w.stands {
		w.stands = true
		w.counts[StandingBeat]++
	}
	return stood
}
