package pin

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
)

// mail is a poller and a waiter: input that another thread posts, in the protocol of a ring. The flag
// says that the loop sleeps, and who posts looks at it afterwards.
type mail struct {
	event    *Event
	asleep   atomic.Bool
	posted   atomic.Uint64
	taken    atomic.Uint64 // written by the loop
	rings    atomic.Uint64
	deadline core.Time // what Next says
	polls    atomic.Uint64
	arms     atomic.Uint64 // how often it was asked to ring
}

func newMail(t testing.TB) *mail {
	t.Helper()
	e, err := NewEvent()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return &mail{event: e, deadline: core.Never}
}

func (m *mail) Poll(core.Time) int {
	m.polls.Add(1)
	n := m.posted.Load() - m.taken.Load()
	m.taken.Add(n)
	return int(n)
}

func (m *mail) Next(core.Time) core.Time { return m.deadline }
func (m *mail) FD() int                  { return m.event.FD() }
func (m *mail) Pending() bool            { return m.posted.Load() != m.taken.Load() }
func (m *mail) Drain()                   { m.event.Drain() }

func (m *mail) Arm(on bool) {
	if on {
		m.arms.Add(1)
	}
	m.asleep.Store(on)
}

// post adds input and rings if the loop sleeps.
func (m *mail) post() {
	m.posted.Add(1)
	if m.asleep.Load() {
		m.rings.Add(1)
		m.event.Signal()
	}
}

// running starts a loop, and stops it and waits for its end when the test is over.
func running(t testing.TB, o Options) *Loop {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	t.Cleanup(func() {
		l.Stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the loop does not end")
		}
	})
	return l
}

// eventually waits until something is true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("not after 10 s: %s", what)
		}
	}
}

// anyCPU is one that this process may use.
func anyCPU(t testing.TB) int {
	t.Helper()
	allowed, err := Allowed()
	if err != nil {
		t.Fatal(err)
	}
	return allowed.List()[0]
}

func TestSpinThenPark(t *testing.T) {
	m := newMail(t)
	l := running(t, Options{
		Name: "parks", CPU: -1, Spin: core.Millisecond, Host: core.NewHost(m),
		Waiters: []Waiter{m},
	})
	eventually(t, "parks", func() bool { return l.Parks() > 0 || m.asleep.Load() })
	eventually(t, "sleeps", func() bool { return threadState(t, l) == "S" })
	polls := m.polls.Load()
	time.Sleep(20 * time.Millisecond)
	if n := m.polls.Load() - polls; n > 0 {
		t.Errorf("a parked loop polled %d times", n)
	}
	m.post()
	eventually(t, "wakes", func() bool { return m.taken.Load() == 1 })
}

func TestSpinForEver(t *testing.T) {
	m := newMail(t)
	l := running(t, Options{CPU: -1, Spin: core.Never, Host: core.NewHost(m), Waiters: []Waiter{m}})
	time.Sleep(5 * time.Millisecond)
	m.post()
	eventually(t, "takes the input", func() bool { return m.taken.Load() == 1 })
	if l.Parks() > 0 || m.arms.Load() > 0 {
		t.Errorf("it parked %d times and armed %d times", l.Parks(), m.arms.Load())
	}
}

// TestSignalAtTheParkingEdge posts again as soon as the loop has taken the last, when it is about to
// sleep: not one may be lost, or both sides would wait for ever.
func TestSignalAtTheParkingEdge(t *testing.T) {
	const posts = 100_000
	m := newMail(t)
	l := running(t, Options{CPU: -1, Host: core.NewHost(m), Waiters: []Waiter{m}}) // parks at once
	end := time.Now().Add(4 * time.Second)
	rng := rand.New(rand.NewPCG(1, 2))
	sent := uint64(0)
	for sent < posts && time.Now().Before(end) {
		for range rng.IntN(1 << rng.IntN(14)) { // up to some microseconds, mostly less
			m.asleep.Load()
		}
		m.post()
		sent++
		for spins := 0; m.taken.Load() != sent; spins++ {
			if spins%100_000 == 99_999 {
				runtime.Gosched() // on one CPU the loop needs it
				if time.Now().After(end.Add(10 * time.Second)) {
					t.Fatalf("post %d was lost: flag %v, loop %s", sent, m.asleep.Load(), threadState(t, l))
				}
			}
		}
	}
	t.Logf("%d posts, %d rang, %d parks", sent, m.rings.Load(), l.Parks())
	if m.rings.Load() == 0 || m.rings.Load() == sent {
		t.Errorf("%d of %d posts rang: the edge was not met", m.rings.Load(), sent)
	}
}

// TestDoWakesAParkedLoop and runs between two steps, on its thread.
func TestDoWakesAParkedLoop(t *testing.T) {
	m := newMail(t)
	l := running(t, Options{CPU: -1, Host: core.NewHost(m), Waiters: []Waiter{m}})
	eventually(t, "polls", func() bool { return m.polls.Load() > 0 })
	for range 1000 {
		ran := 0
		l.Do(func() { ran = unix.Gettid() })
		if ran != l.Thread() {
			t.Fatalf("ran on thread %d, the loop's is %d", ran, l.Thread())
		}
	}
	if l.Parks() == 0 {
		t.Error("it never parked")
	}
}

// TestDoBeforeAndAfter: without a running loop the caller runs the function.
func TestDoBeforeAndAfter(t *testing.T) {
	l, err := New(Options{CPU: -1, Host: core.NewHost()})
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	l.Do(func() { ran++ })
	l.Stop()
	if err := l.Run(); err != nil {
		t.Fatal(err)
	}
	l.Do(func() { ran++ })
	l.Stop()
	if ran != 2 {
		t.Errorf("%d of 2 functions ran", ran)
	}
	if err := l.Run(); !errors.Is(err, ErrEnded) {
		t.Errorf("second Run: %v, want ErrEnded", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("Close after Run: %v", err)
	}
}

// TestCloseWithoutRun frees the event; afterwards the loop cannot run.
func TestCloseWithoutRun(t *testing.T) {
	l, err := New(Options{CPU: -1, Host: core.NewHost()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	l.Stop()
	if err := l.Run(); !errors.Is(err, ErrEnded) {
		t.Errorf("Run after Close: %v, want ErrEnded", err)
	}
}

func TestStop(t *testing.T) {
	for name, spin := range map[string]core.Time{"spinning": core.Never, "parked": 0} {
		t.Run(name, func(t *testing.T) {
			m := newMail(t)
			l, err := New(Options{CPU: -1, Spin: spin, Host: core.NewHost(m), Waiters: []Waiter{m}})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- l.Run() }()
			eventually(t, "polls", func() bool { return m.polls.Load() > 0 })
			if spin == 0 {
				eventually(t, "sleeps", func() bool { return threadState(t, l) == "S" })
			}
			begin := time.Now()
			l.Stop()
			l.Stop()
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("it does not end")
			}
			if d := time.Since(begin); d > time.Second {
				t.Errorf("it took %v to end", d)
			}
		})
	}
}

// TestDeadlines: Next wakes a parked loop, not early, and not late by the kernel's timer slack.
func TestDeadlines(t *testing.T) {
	const naps, nap = 40, core.Millisecond
	a := &alarm{every: nap}
	l := running(t, Options{CPU: -1, Host: core.NewHost(a)})
	eventually(t, "wakes often", func() bool { return a.naps.Load() >= naps })
	if l.Parks() == 0 {
		t.Error("it never parked")
	}
	l.Do(func() {
		if a.early > 0 {
			t.Errorf("%d of %d came early", a.early, a.naps.Load())
		}
		t.Logf("at best %d ns late", a.best)
		if ns, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err != nil || ns != 1 {
			t.Errorf("the thread's timer slack is %d ns, %v", ns, err)
		}
	})
}

// alarm works at a deadline and sets the next.
type alarm struct {
	every, due core.Time
	naps       atomic.Uint64
	early      int
	best       core.Time
}

func (a *alarm) Poll(now core.Time) int {
	if a.due == 0 {
		a.due, a.best = now+a.every, core.Never
	}
	if now < a.due {
		return 0
	}
	a.best = min(a.best, now-a.due)
	a.naps.Add(1)
	a.due = now + a.every
	return 0
}

func (a *alarm) Next(core.Time) core.Time { return a.due }

// TestDeadlineThatHasCome keeps a loop from parking and does not make it ask anybody to ring.
func TestDeadlineThatHasCome(t *testing.T) {
	m := newMail(t)
	m.deadline = 1 // long ago
	l := running(t, Options{CPU: -1, Host: core.NewHost(m), Waiters: []Waiter{m}})
	eventually(t, "polls", func() bool { return m.polls.Load() > 1000 })
	if l.Parks() != 0 || m.arms.Load() != 0 {
		t.Errorf("it parked %d times and armed %d times", l.Parks(), m.arms.Load())
	}
}

// TestHungUpWaiters: a descriptor whose other end is gone neither keeps the loop awake nor keeps others
// from waking it.
func TestHungUpWaiters(t *testing.T) {
	pair := func(kind int) (ours, theirs *os.File) {
		fds, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
		if err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	}
	for name, make := range map[string]func() (*os.File, func()){
		"pipe": func() (*os.File, func()) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			return r, func() { w.Close() }
		},
		"stream, at its end it has input and is hung up": func() (*os.File, func()) {
			ours, theirs := pair(unix.SOCK_STREAM)
			return ours, func() { theirs.Close() }
		},
		"stream with unread input": func() (*os.File, func()) {
			ours, theirs := pair(unix.SOCK_STREAM)
			return ours, func() { theirs.Write(make([]byte, 9)); theirs.Close() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			file, hangUp := make()
			defer file.Close()
			m := newMail(t)
			dead := &deaf{fd: int(file.Fd())}
			l := running(t, Options{CPU: -1, Host: core.NewHost(m), Waiters: []Waiter{dead, m}})
			eventually(t, "sleeps", func() bool { return threadState(t, l) == "S" })
			hangUp()
			settled := func() bool {
				before := l.Parks()
				time.Sleep(10 * time.Millisecond)
				return l.Parks() == before && threadState(t, l) == "S"
			}
			eventually(t, "sleeps again", settled)
			m.post()
			eventually(t, "wakes for another", func() bool { return m.taken.Load() == 1 })
			eventually(t, "sleeps again", settled)
		})
	}
}

// deaf is a waiter that does not read its descriptor.
type deaf struct{ fd int }

func (d *deaf) FD() int       { return d.fd }
func (d *deaf) Arm(bool)      {}
func (d *deaf) Pending() bool { return false }
func (d *deaf) Drain()        {}

// TestWaitersComeAndGo: added and removed by Do while the loop runs.
func TestWaitersComeAndGo(t *testing.T) {
	first, second := newMail(t), newMail(t)
	host := core.NewHost(first, second)
	l := running(t, Options{CPU: -1, Host: host, Waiters: []Waiter{first}})
	l.Do(func() { l.AddWaiter(second) })
	eventually(t, "sleeps", func() bool { return second.asleep.Load() })
	second.post()
	eventually(t, "wakes for the second", func() bool { return second.taken.Load() == 1 })
	l.Do(func() { l.RemoveWaiter(first); l.RemoveWaiter(first) })
	eventually(t, "sleeps", func() bool { return second.asleep.Load() })
	second.post()
	eventually(t, "wakes for the second", func() bool { return second.taken.Load() == 2 })
	first.event.Signal()
	time.Sleep(5 * time.Millisecond)
	l.Do(func() {
		if got := len(l.park.fds); got != 2 {
			t.Errorf("polls %d descriptors, want its own and the second's", got)
		}
	})
}

// threadState is the R, S, D of a loop's thread.
func threadState(t testing.TB, l *Loop) string {
	t.Helper()
	if l.Thread() == 0 {
		return ""
	}
	b, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(l.Thread()) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return after[:1]
}

// status reads a field of /proc/self/task/N/status.
func status(t testing.TB, thread int, field string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(thread) + "/status")
	if err != nil {
		return "" // the thread has ended
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestThread: the loop's thread has its CPU and its name; threads that Go starts meanwhile have neither.
func TestThread(t *testing.T) {
	allowed, err := Allowed()
	if err != nil {
		t.Fatal(err)
	}
	if allowed.Count() < 2 {
		t.Skip("one CPU: a thread that inherited the loop's affinity could not be told from others")
	}
	cpu := allowed.List()[allowed.Count()-1]
	m := newMail(t)
	l := running(t, Options{Name: "dunlin-loop", CPU: cpu, Host: core.NewHost(m), Waiters: []Waiter{m}})
	eventually(t, "polls", func() bool { return m.polls.Load() > 0 })
	if got := status(t, l.Thread(), "Cpus_allowed_list"); got != strconv.Itoa(cpu) {
		t.Errorf("the loop's thread may use CPUs %s, want %d", got, cpu)
	}
	if got := status(t, l.Thread(), "Name"); got != "dunlin-loop" {
		t.Errorf("the loop's thread is called %q", got)
	}
	before := threads(t)
	release := make(chan struct{})
	blocked := make(chan int, 30)
	for i := range 30 { // each holds a thread in a system call
		start := func() {
			go func() {
				runtime.LockOSThread()
				blocked <- unix.Gettid()
				<-release
			}()
		}
		if i%2 == 0 {
			l.Do(start) // started by the loop itself
		} else {
			start()
		}
	}
	for range 30 {
		<-blocked
	}
	started := 0
	for _, thread := range threads(t) {
		if slices.Contains(before, thread) {
			continue
		}
		started++
		if got := status(t, thread, "Cpus_allowed_list"); got != "" && got != allowed.String() {
			t.Errorf("a thread started later may use CPUs %s, want %s", got, allowed)
		}
	}
	close(release)
	if started < 10 {
		t.Errorf("only %d threads were started", started)
	}
}

// threads lists the threads of this process.
func threads(t testing.TB) (list []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		n, _ := strconv.Atoi(e.Name())
		list = append(list, n)
	}
	return list
}

func TestOptions(t *testing.T) {
	ok := Options{Name: "fifteen-letters", CPU: anyCPU(t), Host: core.NewHost()}
	for name, c := range map[string]struct {
		change   func(*Options)
		mentions string
	}{
		"no host":           {func(o *Options) { o.Host = nil }, "host"},
		"negative spin":     {func(o *Options) { o.Spin = -5 }, "-5"},
		"long name":         {func(o *Options) { o.Name = "sixteen-letters!" }, "15"},
		"CPU not there":     {func(o *Options) { o.CPU = 1023 }, "1023"},
		"CPU nobody has":    {func(o *Options) { o.CPU = 1 << 20 }, "1048576"},
		"CPU that is taken": {func(o *Options) { o.CPU = missingCPU(t) }, "use"},
	} {
		t.Run(name, func(t *testing.T) {
			o := ok
			c.change(&o)
			if _, err := New(o); err == nil || !strings.Contains(err.Error(), c.mentions) {
				t.Errorf("error %v, want one that mentions %q", err, c.mentions)
			}
		})
	}
	l, err := New(ok)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// missingCPU is the least one that this process may not use.
func missingCPU(t testing.TB) int {
	t.Helper()
	allowed, err := Allowed()
	if err != nil {
		t.Fatal(err)
	}
	for cpu := 0; ; cpu++ {
		if !allowed.IsSet(cpu) {
			return cpu
		}
	}
}
