package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/cores"
)

// stuckEvery is how often a runtime's stuck workers are logged at most. A machine that has not
// enough CPUs for what it runs has many a moment. (guess: what a person can read)
const stuckEvery = time.Second

// stuckReason is the label of evictions for it in the metrics.
const stuckReason = "stuck_worker"

// stuckLog is what was said, and not said, about the stuck workers of one runtime.
type stuckLog struct {
	last       time.Time // when a line was written
	suppressed uint64    // reports since then
	evicted    uint64    // since the start
}

// admit reports whether a report at now may be logged, and how many were not since the last.
func (s *stuckLog) admit(now time.Time) (suppressed uint64, ok bool) {
	if !s.last.IsZero() && now.Sub(s.last) < stuckEvery {
		s.suppressed++
		return 0, false
	}
	suppressed, s.suppressed, s.last = s.suppressed, 0, now
	return suppressed, true
}

// watchStuck reports workers that keep a core from passing on.
func (d *Daemon) watchStuck(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.lending.stuck:
		}
		var list []cores.Stuck
		d.loop.Do(func() {
			next := d.lending.scheduler.NextStuck
			for s, ok := next(); ok; s, ok = next() {
				list = append(list, s)
			}
		})
		for _, s := range list {
			if s.Fault != cores.Stands || d.revokeStopped(s) {
				d.reportStuck(s)
			}
		}
	}
}

// revokeStopped takes the core of a worker that stands because it is stopped: it might never go on.
// From there the deadlines apply. One that computes keeps its core.
func (d *Daemon) revokeStopped(s cores.Stuck) (stopped bool) {
	w := d.lending.examine(s)
	if !w.stopped() {
		return false
	}
	d.loop.Do(func() { d.lending.scheduler.Revoke(d.clock.Now(), s.Core, s.Runtime) })
	return true
}

// stuckWorker is what is known of a worker that was reported.
type stuckWorker struct {
	cpu    int
	thread int  // 0: not known
	state  byte // as the kernel says; 0: not known
	fault  cores.Fault
}

// starved reports whether the worker could run and the kernel runs others instead: at the lowest
// priority that can last, and is not its fault. Where nobody waits for the core, it harms nobody.
func (w *stuckWorker) starved() bool {
	return w.state == 'R' && (w.fault == cores.Misses || w.fault == cores.Stays)
}

// stopped reports whether the worker does not run because somebody stopped it, or debugs it.
func (w *stuckWorker) stopped() bool { return w.state == 'T' || w.state == 't' }

func (w *stuckWorker) String() string {
	what := "did not pass the core on"
	switch w.fault {
	case cores.Misses:
		what = "did not take the core up"
	case cores.Stands:
		what = "is stopped"
	}
	return fmt.Sprintf("its worker on CPU %d %s", w.cpu, what)
}

// examine looks at a reported worker's thread.
func (l *lending) examine(s cores.Stuck) stuckWorker {
	o := s.Runtime.Owner()
	w := stuckWorker{cpu: l.cpus[s.Core], fault: s.Fault}
	if t, ok := l.hands.thread(s.Core, o); ok {
		w.thread = t.ID()
		if state, err := t.State(); err == nil {
			w.state = state
		}
	}
	return w
}

func (d *Daemon) reportStuck(s cores.Stuck) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for by, a := range d.attached {
		if a.loan != s.Runtime {
			continue
		}
		w, said := d.lending.examine(s), d.stuckLogOf(a.config.Name)
		evicts := d.o.Config.Cores.EvictStuck && !a.cut && !w.starved() && s.Fault != cores.Stands
		suppressed, admitted := said.admit(time.Now())
		log := d.log.With("runtime", a.config.Name, "pid", a.peer.PID, "uid", a.peer.UID, "cpu",
			w.cpu, "thread", w.thread, "state", stateName(w.state), "suppressed", suppressed)
		switch {
		case evicts:
			a.cut = true
			said.evicted++
			by.Evict(fmt.Sprintf("%v within %v", &w,
				config.FormatTime(d.o.Config.Cores.StuckDeadline)))
			log.Error("iokernel: runtime evicted", "reason", w.String())
		case !admitted:
		case s.Fault == cores.Stands:
			log.Warn("iokernel: a worker is stopped, and loses its core")
		case w.starved():
			log.Warn("iokernel: a worker has a core and does not get to run: others have the CPU")
		default:
			log.Error("iokernel: a worker is stuck", "what", w.String())
		}
		return
	}
}

// stuckLogOf is what was said of a runtime; the caller holds mu.
func (d *Daemon) stuckLogOf(name string) *stuckLog {
	said := d.lending.said[name]
	if said == nil {
		said = &stuckLog{}
		d.lending.said[name] = said
	}
	return said
}

func stateName(state byte) string {
	if state == 0 {
		return "unknown"
	}
	return string(rune(state))
}
