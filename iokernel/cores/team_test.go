package cores

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
)

// team is the model of a runtime: its workers and its ports.
type team struct {
	*Runtime
	rig     *rig
	workers []*worker
	frames  []core.Time // when each came that waits
	taken   uint64
	service core.Time // of a frame
	tasks   bool      // there is always something to compute
	parks   bool      // a worker that has nothing to do sleeps
	idles   bool      // ... and one that has, too
	mail    int       // letters that wait for any worker
	due     core.Time // of a timer that any worker serves
}

// Backlog is what waits.
func (m *team) Backlog(now core.Time) Backlog {
	b := Backlog{Waiting: len(m.frames), Taken: m.taken}
	if len(m.frames) > 0 {
		b.Delay = now - m.frames[0]
	}
	return b
}

// Any reports whether something waits.
func (m *team) Any() bool { return len(m.frames) > 0 }

// send has frames come.
func (m *team) send(n int) {
	for range n {
		m.frames = append(m.frames, m.rig.now)
	}
	m.rig.rings = true
}

// call has a letter come for any worker, as another thread of the runtime does it.
func (m *team) call() {
	m.mail++
	m.workers[0].line.Ask()
	m.rig.rings = true
}

// set has a worker set the timer that any of them serves.
func (m *team) set(due core.Time) {
	m.due = due
	m.workers[0].line.Queue(0, 0, due)
}

// attend is what any worker does in its turn.
func (m *team) attend(now core.Time) {
	if m.mail > 0 {
		m.workers[0].line.Heard()
		m.mail = 0
	}
	if m.due <= now {
		m.set(core.Never)
	}
}

// on is on how many cores its workers believe that they are.
func (m *team) on() (n int) {
	for _, w := range m.workers {
		if w.party.Holding() && !w.dead {
			n++
		}
	}
	return n
}

// worker is one thread. It does what package pin's loop does, in steps that take time.
type worker struct {
	team  *team
	core  int
	line  *baton.Line
	party baton.Party
	at    func() // what comes next; nil: to look at the word
	until core.Time
	busy  bool // a request is in hand
	timer core.Time

	idle    bool // the kernel runs it when nobody else wants the core
	asleep  bool // on the word
	moved   bool // ... and somebody has moved it to another queue
	stopped bool // SIGSTOP
	dead    bool
	deaf    bool // does not look at its word

	worked core.Time // with the core
}

func (w *worker) runnable() bool { return !w.asleep && !w.stopped && !w.dead }

// rouse ends a wait. What runs then tells so, and looks.
func (w *worker) rouse(takes core.Time) {
	w.asleep, w.moved = false, false
	w.then(takes, func() { w.line.Become(baton.Running) })
}

func (w *worker) then(takes core.Time, f func()) {
	w.until, w.at = w.team.rig.now+takes, f
}

func (w *worker) step() {
	w.line.Beat()
	if f := w.at; f != nil {
		w.at = nil
		f()
		return
	}
	if w.deaf {
		return
	}
	word := w.team.rig.page.Load(w.core)
	if w.party.Holds(word) {
		w.work()
		return
	}
	held := w.party.Holding()
	switch move := w.party.See(word); {
	case move == baton.Work:
		w.line.TakeUp(word)
		return
	case held:
		w.line.Timer(w.timer)
		fallthrough
	default:
		if move == baton.Hand {
			w.then(handCost, func() {
				w.team.rig.wake(w.core, word.Owner(), wakeHere)
				w.sleep(baton.Waiting)
			})
			return
		}
		w.sleep(baton.Waiting)
	}
}

// sleep waits while the word is the one that was seen.
func (w *worker) sleep(s baton.State) {
	w.line.Become(s)
	if s == baton.Parked {
		w.team.rig.rings = true // whoever parks says so
	}
	if w.team.rig.page.Load(w.core) == w.party.Seen() {
		w.asleep = true
		return
	}
	w.then(0, func() { w.line.Become(baton.Running) })
}

// work is a turn with the core.
func (w *worker) work() {
	m, now := w.team, w.team.rig.now
	if w.timer <= now && !m.idles {
		w.timer = core.Never
	}
	if !m.idles {
		m.attend(now)
	}
	switch {
	case len(m.frames) > 0 && !m.idles:
		m.frames = m.frames[1:]
		m.taken++
		w.busy = true
		w.line.Begin(now)
		w.then(m.service, func() {
			w.busy = false
			w.worked += m.service
			w.line.End()
		})
	case m.tasks:
		w.worked += tick
	case m.parks:
		w.line.Timer(w.timer)
		w.sleep(baton.Parked)
	}
}

// exit ends the thread as package pin does.
func (w *worker) exit() {
	w.dead, w.asleep = true, false
	w.line.Become(baton.Absent)
	if word := w.team.rig.page.Load(w.core); w.party.See(word) == baton.Hand {
		w.team.rig.wake(w.core, word.Owner(), wakeHere)
	}
}
