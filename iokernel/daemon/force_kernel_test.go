package daemon

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/iokernel/cores"
)

// futexCmpRequeue is FUTEX_CMP_REQUEUE of futex(2).
const futexCmpRequeue = 4

// playRequeue moves whoever waits for a core's word to a queue of its own, again and again: it may,
// since it can read the page. If it keeps the core as well, it takes each grant up, never looks who
// else is named, and wakes nobody; else it has no worker.
func playRequeue(socket, name string, keeps bool) error {
	h, err := openLoan(socket, name)
	if err != nil {
		return err
	}
	moved, thread := atomic.Int64{}, make(chan int, 1)
	line, self := h.load.Line(0), baton.Owner(h.grant.Loan.Owner)
	go func() {
		runtime.LockOSThread()
		if keeps {
			var set unix.CPUSet
			set.Set(h.grant.Loan.Cores[0])
			_ = unix.SchedSetaffinity(0, &set) // or it is in the way elsewhere
			line.Become(baton.Running)
		}
		for thread <- unix.Gettid(); ; moved.Add(int64(requeue(h.words.Bytes))) {
			if w := h.page.Load(0); keeps && w.Owner() == self {
				line.TakeUp(w)
			}
		}
	}()
	if id := <-thread; keeps {
		if err := h.client.Threads([]int{id}); err != nil {
			return err
		}
	}
	fmt.Println(ready)
	for last := int64(0); ; time.Sleep(100 * time.Microsecond) {
		if n := moved.Load(); n > last {
			last = n
			fmt.Println(movedWord, n)
		}
	}
}

// movedWord begins a line of playRequeue, for each time that it has moved somebody.
const movedWord = "moved"

// forceYield is a deadline within which a thread that is woken runs, whatever else the machine does.
const forceYield = 100 * core.Millisecond

// force is how much of it was used so far: threads of BE demoted, and signals.
func force(t *testing.T, d *Daemon) (demotions, signals uint64) {
	r := coresOf(t, d)
	return user(r, batchName).Demotions, r.Wakes.Signals
}

// forced is how long each of n questions that took force waited, from the grant that it brought
// about, by the iokernel's clock and its log of decisions, until its answer was there. Questions
// that found the core at LC, or on its way there, took none, and are not in it.
func forced(t *testing.T, d *Daemon, question func(), n int) (waits []core.Time) {
	t.Helper()
	for asked := 0; len(waits) < n; asked++ {
		if asked > 20*n {
			t.Fatalf("%d of %d questions took force", len(waits), asked)
		}
		demotions, signals := force(t, d)
		sent := d.clock.Now()
		question()
		answered := d.clock.Now()
		var list []cores.DecisionReport
		d.loop.Do(func() { list = d.lending.scheduler.Decisions(1000) })
		k := slices.IndexFunc(list, func(e cores.DecisionReport) bool {
			return e.To == "echo" && e.At <= answered
		})
		demoted, signalled := force(t, d)
		if k >= 0 && list[k].At >= sent && demoted+signalled > demotions+signals {
			waits = append(waits, answered-list[k].At)
		}
		time.Sleep(3 * time.Millisecond) // it falls idle, and the core goes to BE or is parked
	}
	return waits
}

// TestForce has a worker that is stopped, or never looks at its word, or moves other people's
// waiters and wakes nobody, lose the core by force: the service runs again within two deadlines of
// the grant. The deadline is so long that the machine's own delays are small beside it; one question
// of all may meet a greater one.
func TestForce(t *testing.T) {
	const tries = 5
	for _, test := range []struct {
		name, role string
		stops      bool // it, while it has the core
		demotes    bool // else a signal finds the victim
	}{
		{"stopped", "compute", true, true},
		{"deaf", "deaf", false, true},
		{"moves waiters", "requeue", false, false},
		{"moves waiters and keeps the core", "robber", false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, lab.PairOptions{})
			d := startDaemon(t, l, func(o *Options) {
				lendingOptions(t, o)
				k := &o.Config.Cores
				k.YieldDeadline, k.StuckDeadline = forceYield, 20*forceYield
			})
			startChild(t, "echo", d.Socket(), "echo", modeMediated)
			conn := dialEcho(t, l)
			ask(t, conn)
			be := startChild(t, test.role, d.Socket(), batchName, modeMediated)
			moved := be.countLines(movedWord)
			p := &pair{t: t, d: d}
			if test.role != "requeue" {
				awaitIdle(t, "BE has the core", func() bool { return user(coresOf(t, d), batchName).Time > 0 })
			}
			before, movedBefore := coresOf(t, d), moved.Load()
			waits := forced(t, d, func() {
				if test.stops {
					p.cont(be)
					p.computes()
					p.stop(be)
				}
				ask(t, conn)
			}, tries)
			after := coresOf(t, d)
			slices.Sort(waits)
			t.Logf("from the grant to the answer: %v ns", waits)
			if waits[tries-2] > 2*forceYield {
				t.Errorf("it took %v ns, want %d, two deadlines", waits, 2*forceYield)
			}
			demotions := user(after, batchName).Demotions - user(before, batchName).Demotions
			signals := after.Wakes.Signals - before.Wakes.Signals
			if test.demotes && demotions == 0 || !test.demotes && signals == 0 {
				t.Errorf("%d demotions and %d signals: it took no force", demotions, signals)
			}
			if test.role == "requeue" || test.role == "robber" {
				await(t, "waiters were moved", func() bool { return moved.Load() > movedBefore })
			}
			if u := user(after, "echo"); u.Stuck > user(before, "echo").Stuck {
				t.Errorf("the victim is said to be stuck: %+v", u)
			}
		})
	}
}

// countLines counts the child's lines that begin with a word, from now on.
func (c *child) countLines(word string) *atomic.Int64 {
	n := &atomic.Int64{}
	go func() { // until the child ends
		for line := c.line(); line != ""; line = c.line() {
			if strings.HasPrefix(line, word) {
				n.Add(1)
			}
		}
	}()
	return n
}
