package daemon

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
)

// tasker is a poller beside a worker that is busy for a while, by submitting tasks, and then is not.
type tasker struct {
	seat    *dataplane.Seat
	task    dataplane.Task
	left    atomic.Int64 // tasks to submit
	ran     atomic.Int64
	foreign atomic.Int64 // of these and of polls, those on another thread than the first
	thread  atomic.Int64
	out     bool // a task is in the queue
}

func newTasker(seat *dataplane.Seat) *tasker {
	p := &tasker{seat: seat}
	p.task.Run = func(s *dataplane.Seat, _ core.Time) {
		p.here()
		if s != p.seat {
			p.foreign.Add(1)
		}
		p.out = false
		p.ran.Add(1)
	}
	return p
}

// here notes the thread, which is to be one only.
func (p *tasker) here() {
	id := int64(unix.Gettid())
	if !p.thread.CompareAndSwap(0, id) && p.thread.Load() != id {
		p.foreign.Add(1)
	}
}

func (p *tasker) Poll(now core.Time) int {
	p.here()
	if p.out || p.left.Load() == 0 || !p.seat.Submit(now, &p.task) {
		return 0
	}
	p.out = true
	p.left.Add(-1)
	return 1
}

func (p *tasker) Next(now core.Time) core.Time {
	if p.left.Load() > 0 && !p.out {
		return now
	}
	return core.Never
}

// TestLentRuntimeIsATeam attaches a runtime whose core comes and goes, in this process: its worker
// has a seat, tasks and pollers run on the worker's thread and nowhere else, the iokernel sees that
// they keep it busy, and others have the core when they do not.
func TestLentRuntimeIsATeam(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	d := startDaemon(t, l, func(o *Options) {
		withOther(o)
		lendingOptions(t, o)
		o.Config.Runtimes[1].Workers = 1
	})
	pinned := openRuntime(t, attach.Options{Name: otherName, Socket: d.Socket()})
	if pinned.Grant().Loan != nil || pinned.Seat(0) != nil {
		t.Errorf("a pinned runtime has the loan %+v and the seat %v", pinned.Grant().Loan,
			pinned.Seat(0))
	}
	if err := pinned.Close(); err != nil {
		t.Error(err)
	}

	rt := openRuntime(t, attach.Options{Name: "echo", Socket: d.Socket(), Cores: 1})
	loan, seat := rt.Grant().Loan, rt.Seat(0)
	if loan == nil || loan.Class != "lc" || loan.Owner == 0 || loan.Reserved != 1 ||
		loan.Most != 1 || len(loan.Cores) != 1 || loan.Cores[0] != lentCPU {
		t.Fatalf("the loan is %+v", loan)
	}
	if seat == nil || seat.Worker() != rt.Worker(0) || rt.Workers() != 1 {
		t.Fatalf("the seat is %v, of %d workers", seat, rt.Workers())
	}
	if err := rt.HandleUDP(echoPort, func(r *dataplane.Request) { r.Turn() }); err != nil {
		t.Fatal(err)
	}
	p := newTasker(seat)
	rt.Add(0, p)
	runRuntime(t, rt)
	conn := dialEcho(t, l)
	ask(t, conn)
	startChild(t, "compute", d.Socket(), batchName, modeMediated)
	busy := user(coresOf(t, d), "echo").Busy
	for range 2 {
		const tasks = 500
		before := p.ran.Load()
		p.left.Store(tasks)
		await(t, "the tasks have run", func() bool {
			ask(t, conn) // which gives it the core, to begin with
			return p.ran.Load() == before+tasks
		})
		had := user(coresOf(t, d), batchName).Time
		awaitIdle(t, "BE has the core afterwards", func() bool {
			return user(coresOf(t, d), batchName).Time > had+core.Millisecond/2
		})
	}
	if n := p.foreign.Load(); n > 0 {
		t.Errorf("%d polls or tasks ran on another thread or seat", n)
	}
	if id := workerThread(t, d, "echo"); int64(id) != p.thread.Load() {
		t.Errorf("tasks ran on thread %d, the worker's is %d", p.thread.Load(), id)
	}
	r := coresOf(t, d)
	if u := user(r, "echo"); u.Busy <= busy {
		t.Errorf("tasks did not count as work: %+v, busy before %d", u, busy)
	}
	if n := d.untrue("echo"); n > 0 {
		t.Errorf("%d statements that cannot be: %v", n, d.nonsenseOf("echo"))
	}
	if err := coresAddUp(r); err != nil {
		t.Error(err)
	}
}
