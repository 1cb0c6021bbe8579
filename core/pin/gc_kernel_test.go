package pin

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
)

// pauses runs collections and returns how long each stopped the world in all, from asking the threads
// to stop until they went on; the shortest first.
func pauses(collections int) []time.Duration {
	list := make([]time.Duration, collections)
	var stats runtime.MemStats
	for i := range list {
		runtime.GC()
		runtime.ReadMemStats(&stats)
		list[i] = time.Duration(stats.PauseNs[(stats.NumGC+255)%256])
	}
	slices.Sort(list)
	return list
}

// procs sets GOMAXPROCS as a process with so many loops does, until the test ends.
func procs(t *testing.T, loops int) {
	before := runtime.GOMAXPROCS(0)
	Procs(loops)
	if got := runtime.GOMAXPROCS(0); got != loops+2 {
		t.Errorf("GOMAXPROCS is %d with %d loops", got, loops)
	}
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// TestCollectionsAreNotHeldUp measures what loops add to the pauses of the collector, against a control
// without loops. A loop that holds up collections does so with each of them, for as long as it sleeps
// or for ever, and not now and then; whereas a thread that the collector must stop may just have lost
// its CPU to another process, for milliseconds, on a machine that is busy. So the lower quartile is
// what is judged, and the test below shows that it would notice.
func TestCollectionsAreNotHeldUp(t *testing.T) {
	const collections, limit = 24, time.Millisecond
	procs(t, 2)
	control := pauses(collections)
	parked, spinning := newMail(t), newMail(t)
	p := running(t, Options{Name: "parked", CPU: -1, Host: core.NewHost(parked), Waiters: []Waiter{parked}})
	for name, start := range map[string]func(*testing.T){
		"parked": func(t *testing.T) {
			eventually(t, "sleeps", func() bool { return threadState(t, p) == "S" })
		},
		"parked and spinning": func(t *testing.T) {
			running(t, Options{
				Name: "spinning", CPU: anyCPU(t), Spin: core.Never,
				Host: core.NewHost(spinning), Waiters: []Waiter{spinning},
			})
			eventually(t, "polls", func() bool { return spinning.polls.Load() > 1000 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			start(t)
			got := pauses(collections)
			t.Logf("lower quartile, median, longest: %v %v %v; without loops %v %v %v",
				got[collections/4], got[collections/2], got[collections-1],
				control[collections/4], control[collections/2], control[collections-1])
			if added := got[collections/4] - control[collections/4]; added > limit {
				t.Errorf("loops add %v to a collection's pause", added)
			}
		})
	}
}

// TestHeldCollectionIsNoticed is the control for the one above: a poller that stays for milliseconds
// in a system call that no signal interrupts, and holds on to its P.
func TestHeldCollectionIsNoticed(t *testing.T) {
	const collections, bytes = 6, 32 << 20
	procs(t, 1)
	memory, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(memory) }) // after the loop's end
	running(t, Options{CPU: -1, Spin: core.Never, Host: core.NewHost(hog(memory))})
	got := pauses(collections)
	if got[collections/4] < time.Millisecond {
		t.Errorf("it added %v", got[collections/4])
	}
}

// TestTurnDoesNotAllocate: waking, working, spinning, arming and parking, over and over.
func TestTurnDoesNotAllocate(t *testing.T) {
	m, other := newMail(t), newMail(t)
	m.deadline = core.Never - 1 // so that the park has a time-out
	l := running(t, Options{CPU: -1, Host: core.NewHost(m, other), Waiters: []Waiter{m, other}})
	post := func() {
		m.post()
		for m.Pending() {
			runtime.Gosched()
		}
	}
	post()
	parks := l.Parks()
	if n := testing.AllocsPerRun(500, post); n != 0 {
		t.Errorf("%v allocations a turn", n)
	}
	if l.Parks() == parks {
		t.Error("it did not park meanwhile")
	}
}
