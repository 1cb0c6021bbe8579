package baton

import "github.com/dunlin-io/dunlin/core"

// Lender is the iokernel's part in the protocol of one core: after each grant it sees to it that
// the core passes on, whatever its workers do. It is a machine without system calls: Check says
// which measures to take. It belongs to the iokernel's thread.
//
//	settled ── Granted ──> granted ── wakes the owner, unless a worker runs that will ──> asked
//	   ^                                                                                   │
//	   │                                                           not taken up in Yield   v
//	   │       the worker that runs, if one does, is demoted; the owner is woken, or,    pressed
//	   │             if nobody is where it should sleep, signalled: its wait was moved      │
//	   │                                                          nor in two Yields         v
//	   │                     now a worker that says it waits is not believed any more     forced
//	   │                                                                                    │
//	   │ the owner takes up, at any time; for Nobody: no worker runs      nor in Stuck      v
//	   └────────────────────────────────────────────────────────── reported once, then  stuck
type Lender struct {
	deadlines Deadlines
	word      Word
	since     core.Time // of the grant
	holder    Owner     // took the core up last
	target    Owner     // whom the last measure concerned that was not about the owner
	named     [named]Owner
	names     int // how many of named there are; the latest last
	stage     stage
	demoted   [(int(MaxOwner) + 1) / 64]uint64 // owners whose worker here has lost its priority
}

// named is how many owners a Lender remembers that may have the core beside the one that should:
// those that were named since it last was settled. (guess: a policy seldom makes a second grant
// before the first is taken up)
const named = 4

// Deadlines are how long a grant may take to be taken up, from when it was made.
type Deadlines struct {
	Yield core.Time // then force is used
	Stuck core.Time // then force was in vain
}

type stage uint8

const (
	settled stage = iota
	granted       // and nobody told yet
	asked
	pressed
	forced
	stuck
)

// Crew is the workers of one core as they are now. Who has none there is Absent.
type Crew interface {
	State(Owner) State
	Ack(Owner) Word
}

// Measure is a set of things to do about a core. Each concerns one thread there: the worker of the
// word's owner, or that of the Target.
type Measure uint8

// The measures, in the order in which to take them.
const (
	// DemoteTarget: have the kernel run the target's thread only when nobody else wants the core.
	DemoteTarget Measure = 1 << iota
	// PromoteOwner: undo that for the owner's thread.
	PromoteOwner
	// WakeOwner: wake the owner's bit on the core's word.
	WakeOwner
	// SignalOwner: send the owner's thread a signal, which ends a wait wherever it was moved to.
	// Together with WakeOwner: if that has woken nobody.
	SignalOwner
	// ReportStuck: nothing has helped. The target is who keeps the core from passing on.
	ReportStuck

	// Crossing are the measures that interrupt another core, and so cost the one who takes them.
	Crossing = WakeOwner | SignalOwner
)

// NewLender returns the lender of a core that nobody has, with that word.
func NewLender(d Deadlines, word Word) Lender { return Lender{deadlines: d, word: word} }

// Granted takes notice that the core's word is w since now.
func (l *Lender) Granted(now core.Time, w Word) {
	l.remember(l.word.Owner())
	l.word, l.since, l.stage = w, now, granted
}

// remember has o, which was named, among those that may have the core. Who took it up last is never
// forgotten for one who perhaps did not.
func (l *Lender) remember(o Owner) {
	if o == Nobody || o == l.holder {
		return
	}
	l.forget(o)
	if l.names == named {
		l.forget(l.named[0])
	}
	l.named[l.names] = o
	l.names++
}

func (l *Lender) forget(o Owner) {
	for i := range l.names {
		if l.named[i] == o {
			copy(l.named[i:], l.named[i+1:l.names])
			l.names--
			l.named[l.names] = Nobody
			return
		}
	}
}

// Word is what the core's word says.
func (l *Lender) Word() Word { return l.word }

// Since is when it began to.
func (l *Lender) Since() core.Time { return l.since }

// Holder is who took the core up last, and may still have it.
func (l *Lender) Holder() Owner { return l.holder }

// Target is whom the last measure concerned that was not about the owner.
func (l *Lender) Target() Owner { return l.target }

// Settled reports whether the last grant was taken up. Otherwise Check wants to be asked each pass.
func (l *Lender) Settled() bool { return l.stage == settled }

// Stuck reports whether the last grant was not taken up, whatever was done, and was reported.
// Another grant begins anew; Check still notices if this one is taken up late.
func (l *Lender) Stuck() bool { return l.stage == stuck }

// Gone takes notice that an owner's workers have ended.
func (l *Lender) Gone(o Owner) {
	if l.holder == o {
		l.holder = Nobody
	}
	l.forget(o)
	l.demoted[o/64] &^= 1 << (o % 64)
}

// Check returns what to do about a grant that is not settled; crew is asked for what it does after
// the grant was stored. Measures of Crossing are put off to a later pass unless there is budget.
//
// Why it is enough to find one worker that runs: it looks at the word once more before it sleeps,
// and wakes the owner. It stores its state before the kernel compares the word, we store the word
// before we load its state: one of us sees the other.
func (l *Lender) Check(now core.Time, crew Crew, budget bool) Measure {
	if l.stage == settled {
		return 0
	}
	runs := l.running(crew)
	owner := l.word.Owner()
	if owner != Nobody && crew.Ack(owner) == l.word || owner == Nobody && runs == Nobody {
		l.holder, l.named, l.names, l.stage = owner, [named]Owner{}, 0, settled
		return 0
	}
	m, next := l.due(now-l.since, runs)
	if m&Crossing != 0 && !budget {
		return 0
	}
	l.stage = next
	if m&DemoteTarget != 0 {
		l.demoted[l.target/64] |= 1 << (l.target % 64)
	}
	if m&PromoteOwner != 0 {
		l.demoted[owner/64] &^= 1 << (owner % 64)
	}
	return m
}

// running is who says that it runs, of those who may have the core and should not; whoever was
// named last, first.
func (l *Lender) running(crew Crew) Owner {
	for i := l.names - 1; i >= 0; i-- {
		if o := l.named[i]; o != l.word.Owner() && crew.State(o) == Running {
			return o
		}
	}
	if l.holder != Nobody && crew.State(l.holder) == Running {
		return l.holder
	}
	return Nobody
}

// due is what to do at an age of the grant while somebody else runs, or Nobody; and the stage after
// that.
func (l *Lender) due(age core.Time, runs Owner) (Measure, stage) {
	owner := l.word.Owner()
	wake, signal := WakeOwner, SignalOwner
	if owner == Nobody {
		wake, signal = 0, 0
	}
	switch {
	case l.stage == granted:
		m := Measure(0)
		if l.isDemoted(owner) {
			m = PromoteOwner
		}
		if runs == Nobody {
			m |= wake
		}
		return m, asked
	case l.stage == asked && age >= l.deadlines.Yield:
		if runs == Nobody || runs == owner {
			return wake | signal, pressed
		}
		l.target = runs
		return DemoteTarget | wake | signal, pressed
	case l.stage == pressed && age >= 2*l.deadlines.Yield:
		if l.target = l.suspect(runs); l.target == Nobody {
			return signal, forced
		}
		return DemoteTarget | signal, forced
	case l.stage == forced && age >= l.deadlines.Stuck:
		if l.target = runs; runs == Nobody {
			l.target = owner
		}
		return ReportStuck, stuck
	}
	return 0, l.stage
}

// suspect is who may have the core and was not demoted for it yet: who says that it runs, or who
// says that it does not.
func (l *Lender) suspect(runs Owner) Owner {
	if runs != l.word.Owner() && runs != Nobody && !l.isDemoted(runs) {
		return runs
	}
	for i := l.names - 1; i >= 0; i-- {
		if o := l.named[i]; o != l.word.Owner() && !l.isDemoted(o) {
			return o
		}
	}
	if l.holder != l.word.Owner() && !l.isDemoted(l.holder) {
		return l.holder
	}
	return Nobody
}

func (l *Lender) isDemoted(o Owner) bool { return l.demoted[o/64]&(1<<(o%64)) != 0 }
