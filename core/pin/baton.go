package pin

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
)

// Baton makes a loop one of several, in several processes, that share a CPU: it turns its host
// while the CPU's word names it, and sleeps on the word while it does not. Package baton has the
// protocol.
//
//	┌─> the word is as it was ── yes ──> Host.Step ── idle for Spin ──> sleep on the word: parked
//	│         │ no
//	│         v
//	│   names us ── yes ──> tell that we took it up ───────────────────────────────────────┐
//	│         │ no                                                                         │
//	│         v                                                                            │
//	│   Leave, wake whom it names, sleep on the word: waiting, until it names us           │
//	└──────────────────────────────────────────────────────────────────────────────────────┘
//
// The iokernel alone wakes such a loop. It never polls the files of its waiters and never asks them
// to ring (Arm); they only keep it from parking while input is Pending. It sleeps without a
// time-out and tells in its line, as it parks and as it waits, when its next deadline is (Timer).
// Whoever lends the CPU watches the input and the deadlines of loops that sleep, and grants a loop
// the CPU again, with a new epoch, when it has something to do. So a loop whose input only the
// kernel sees must spin for ever, and leave it to the iokernel to take the CPU away.
type Baton struct {
	Cell *baton.Cell // the CPU's word; mapped as long as the loop runs
	Line *baton.Line // what we tell; no other loop writes it
	Self baton.Owner
	// Leave is called between two steps, on the loop's thread, when the CPU is lost and before the
	// last look at the waiters before parking; nil: nothing.
	Leave func()
	// Timer says when the next deadline is that only this loop serves, asked on its thread; others
	// are told by whoever serves them. nil: all of its host's deadlines are its own.
	Timer func(now core.Time) core.Time
	// Ring tells whoever lends the CPU that the loop parks: he may sleep, and knows of nothing else
	// when its next deadline is; nil: he looks.
	Ring func()
}

func (b *Baton) check(cpu int) error {
	if b.Cell == nil || b.Line == nil || cpu < 0 || b.Self == baton.Nobody ||
		b.Self > baton.MaxOwner {
		return fmt.Errorf("a baton of CPU %d for owner %d: want a cell, a line, a CPU, and an "+
			"owner of 1 to %d", cpu, b.Self, baton.MaxOwner)
	}
	return nil
}

// sharing is a loop's part in sharing its CPU. It belongs to the loop's thread, call apart.
type sharing struct {
	Baton
	word  *atomic.Uint32 // the cell's; for call, a number only: the cell may be unmapped by then
	party baton.Party
	beat  core.Time // the last one told
}

// beatEvery is how often a loop tells that it goes round. Each time the line moves between two
// cores, 0.1 us for either; whoever watches for loops that stand waits for milliseconds.
const beatEvery = 100 * core.Microsecond

func newSharing(b *Baton) *sharing {
	if b == nil {
		return nil
	}
	return &sharing{Baton: *b, word: b.Cell.Address(), party: baton.NewParty(b.Self)}
}

// holds reports whether the CPU is ours since the last turn.
func (s *sharing) holds(now core.Time) bool {
	if now-s.beat >= beatEvery {
		s.beat = now
		s.Line.Beat()
	}
	return s.party.Holds(s.Cell.Load())
}

// await returns when the CPU is ours, or the loop is to end.
func (l *Loop) await(now core.Time) error {
	s := l.sharing
	for !l.stop.Load() {
		if l.job.Load() != nil {
			l.runJob()
		}
		w, held := s.Cell.Load(), s.party.Holding()
		move := s.party.See(w)
		if move == baton.Work {
			s.Line.TakeUp(w)
			return nil
		}
		if held {
			l.lose(now)
		}
		if move == baton.Hand {
			if err := s.wake(w.Owner()); err != nil {
				return err
			}
		}
		s.Line.Become(baton.Waiting)
		err := s.wait(w)
		s.Line.Become(baton.Running)
		s.Line.Beat()
		if err != nil {
			return err
		}
	}
	return nil
}

// lose is what is done once when the CPU is no longer ours.
func (l *Loop) lose(now core.Time) {
	if l.sharing.Leave != nil {
		l.sharing.Leave()
	}
	l.tellTimer(now)
}

// tellTimer tells when the loop wants its CPU.
func (l *Loop) tellTimer(now core.Time) {
	timer := l.sharing.Timer
	if timer == nil {
		timer = l.o.Host.Next
	}
	l.sharing.Line.Timer(timer(now))
}

// rest parks a loop that has its CPU and nothing to do, and reports whether it did.
func (l *Loop) rest(now core.Time) (bool, error) {
	if l.wanted(now) {
		return false, nil
	}
	s := l.sharing
	l.tellTimer(now)
	s.Line.Become(baton.Parked) // from here on, whoever has input for us grants us the CPU again
	if s.Leave != nil {
		s.Leave()
	}
	if s.Ring != nil {
		s.Ring()
	}
	var err error
	parked := !l.wanted(now)
	if parked {
		err = s.wait(s.party.Seen())
		l.parks.Store(l.parks.Load() + 1)
	}
	s.Line.Become(baton.Running)
	return parked, err
}

// wait sleeps while the word is w.
func (s *sharing) wait(w baton.Word) error {
	switch errno := waitOn(s.word, uint32(w), s.Self.Bit()); errno {
	case 0, unix.EAGAIN, unix.EINTR: // woken, changed already, or a signal: look again
		return nil
	default:
		return fmt.Errorf("pin: wait for a baton at %p: %w", s.Cell, errno)
	}
}

// wake wakes the workers of an owner on this CPU.
func (s *sharing) wake(o baton.Owner) error {
	if _, errno := wakeOn(s.word, baton.MaxShared, o.Bit()); errno != 0 {
		return fmt.Errorf("pin: wake owner %d of a baton at %p: %w", o, s.Cell, errno)
	}
	return nil
}

// end leaves the CPU to whom it belongs. The state is told before the last look: who grants the CPU
// after that does not rely on us.
func (s *sharing) end() error {
	s.Line.Become(baton.Absent)
	if w := s.Cell.Load(); s.party.See(w) == baton.Hand {
		return s.wake(w.Owner())
	}
	return nil
}

// callAgain is how soon a call to a loop is repeated. It goes astray when the loop is on its way to
// sleep: the word is not ours to change. (guess: never seen twice in a row)
const callAgain = time.Millisecond

// call wakes the loop, from another thread, until done.
func (s *sharing) call(done <-chan struct{}) {
	again := time.NewTicker(callAgain)
	defer again.Stop()
	for {
		_, _ = wakeOn(s.word, baton.MaxShared, s.Self.Bit()) // EFAULT: the loop has ended
		select {
		case <-done:
			return
		case <-again.C:
		}
	}
}
