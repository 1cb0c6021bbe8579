package sim

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// scheduler is the iokernel's pass: it takes a snapshot, asks the policy, and carries out what it
// says, every interval, and earlier if it is prompt and a request waits. It has a core of its own,
// and is late for the next pass when it has to wake one.
type scheduler struct {
	loop     *Loop
	id       ID
	m        *machine
	policy   Policy
	interval core.Time
	prompt   core.Time // least time between passes
	free     core.Time // when it can do the next one
	passes   uint64
	hurried  bool // the next pass comes early
	snapshot policy.Snapshot
	actions  []policy.Action
	reasons  [policy.Reasons]uint64
	check    checker
	err      error // the first promise broken
}

func newScheduler(l *Loop, m *machine, p Policy, c *Config) *scheduler {
	s := &scheduler{
		loop: l, m: m, policy: p, interval: c.Interval, prompt: c.Prompt,
		snapshot: policy.Snapshot{
			Cores:    make([]policy.Core, len(m.cores)),
			Runtimes: make([]policy.Runtime, len(m.runtimes)),
			Interval: c.wait(),
			HandOver: c.Cost.HandOver,
		},
		actions: make([]policy.Action, 0, len(m.cores)),
		check:   newChecker(m, c),
	}
	m.wait = s.hurry
	s.id = l.Add(s)
	l.Post(0, s.id, 0, 0)
	return s
}

// hurry brings the next pass forward, because a request waits.
func (s *scheduler) hurry() {
	if s.prompt == 0 || s.hurried {
		return
	}
	s.hurried = true
	s.loop.Post(max(s.loop.Now(), s.free), s.id, 0, s.passes)
}

// Handle is one pass, unless it came already: Arg is its number.
func (s *scheduler) Handle(now core.Time, e Event) {
	if s.err != nil || e.Arg != s.passes {
		return
	}
	s.passes++
	s.hurried = false
	s.look(now)
	s.actions = s.policy.Decide(now, &s.snapshot, s.actions[:0])
	if s.err = s.check.actions(now, s.actions, &s.snapshot); s.err != nil {
		return
	}
	next := now + s.interval
	s.free = now + s.prompt
	for _, a := range s.actions {
		s.reasons[a.Reason]++
		c := int(a.Core)
		switch a.Kind {
		case policy.Grant:
			if s.m.cores[c].state == policy.Parked {
				s.free = now + s.m.cost.Waker
			}
			s.m.give(now, c, a.Runtime)
		case policy.Keep:
			s.m.clear(now, c, policy.Idle)
		case policy.Park:
			s.m.clear(now, c, policy.Parked)
		}
	}
	if s.err = s.check.state(now); s.err == nil {
		s.loop.Post(max(next, s.free), s.id, 0, s.passes)
	}
}

// look fills the snapshot.
func (s *scheduler) look(now core.Time) {
	s.snapshot.Wakes = 1
	for i := range s.snapshot.Cores {
		k := &s.m.cores[i]
		s.snapshot.Cores[i] = policy.Core{
			State: k.state, Owner: k.owner, Last: k.last, Sibling: policy.None,
			OwnedAt: k.ownedAt, IdleAt: k.idleAt, LastAt: k.lastAt, Failed: policy.None,
		}
	}
	for i := range s.snapshot.Runtimes {
		t := &s.m.runtimes[i]
		in := &s.snapshot.Runtimes[i]
		*in = policy.Runtime{
			Class: t.config.Class, ID: uint64(i) + 1, Reserved: t.config.Reserved,
			Most: t.config.Most, Able: t.config.Most, Quantum: t.config.Quantum,
			NextTimer: core.Never, Only: policy.None,
			Waiting: t.queue.count, Served: t.served, Busy: t.busy,
		}
		if arrived, ok := t.queue.oldest(); ok {
			in.FrameDelay = now - arrived
		}
	}
}
