package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core/pin"
)

// TestIdle holds what an idle iokernel and its runtime cost, and that the first frame afterwards does
// not pay for it.
func TestIdle(t *testing.T) {
	h := newHost(t, "spin: 500us\n") // longer than a client takes to wake up, so that it sees the edge
	iokernel := h.iokernel(t)
	echo := h.echo(t)
	h.exchange(t, h.lab.End(lab.B).IPv4, 20)
	t.Run("CPU time", func(t *testing.T) { idleCPU(t, iokernel, echo) })
	t.Run("parking edge", func(t *testing.T) { parkingEdge(t, h, iokernel, echo) })
}

// idleCPU demands less than 2 % of one CPU for both together, over 10 s.
func idleCPU(t *testing.T, processes ...*process) {
	const window, limit = 10 * time.Second, 10 * time.Second * 2 / 100
	sum := func() (total time.Duration) {
		for _, p := range processes {
			total += cpuTime(t, p.cmd.Process.Pid)
		}
		return total
	}
	before := sum()
	time.Sleep(window)
	used := sum() - before
	t.Logf("%v of CPU time in %v", used, window)
	if used >= limit {
		t.Errorf("want less than %v", limit)
	}
}

// cpuTime is what a process has used, in user space and kernel.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// The name, in parentheses, may hold anything: the fields that follow it count from 3 (proc(5)).
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	var ticks int64
	for _, field := range []int{14, 15} { // utime, stime
		n, err := strconv.ParseInt(fields[field-3], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every architecture that Go knows
	return time.Duration(ticks) * tick
}

const (
	edgeTries = 1000
	edgeLimit = time.Millisecond
	// The gaps reach from well before the edge, where both still spin, to well behind it. An answer
	// takes a while to reach the client, so the edge is not quite at the spin time.
	edgeFirst, edgeLast = 100 * time.Microsecond, 900 * time.Microsecond
	// edgeProcs is more than the threads of this process that are busy at a time.
	edgeProcs = 16
	// edgeRepeats bounds the tries that are repeated because the machine stood still.
	edgeRepeats = 1000
)

// parkingEdge sends a frame just before, while, and after iokernel and worker go to sleep, and wants
// each answered within edgeLimit. A wake-up that is lost there would never be answered.
//
// A machine that is shared stands still at times: for its host, which threads that only sleep and look
// at the clock see, one for each CPU; and for other processes, which the kernel accounts to the
// threads on the way (client, loops, and its own for packets) as time that they could have run and did
// not. An answer that would have been in
// time without all that says nothing: it is tried again, and the log says how many were. On a quiet
// machine none is.
func parkingEdge(t *testing.T, h *host, iokernel, echo *process) {
	// What our own runtime adds must not be in what we measure: no collection, and a P for each thread,
	// or one that returns from the kernel may wait for milliseconds until it is given one.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(edgeProcs))
	runtime.LockOSThread() // for the slack of our own timer
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	client := dialBlocking(t, h)
	stalls := watchStalls(t)
	defer stalls.stop()
	queue := watchQueues(t, append(softirqThreads(t), loopThread(t, iokernel, "iokernel"),
		loopThread(t, echo, "worker0"), fmt.Sprintf("/proc/self/task/%d", unix.Gettid()))...)
	wakes := h.status(t).Runtimes[0].Counters["wakes"]

	var took, slow []time.Duration
	repeated := 0
	request, answer := make([]byte, 64), make([]byte, 128)
	for len(took) < edgeTries {
		gap := edgeFirst + (edgeLast-edgeFirst)*time.Duration(len(took))/edgeTries
		waited := queue.waited(t)
		nap(gap)
		request[0], request[1] = byte(len(took)), byte(len(took)>>8)
		sent := time.Now()
		if _, err := unix.Write(client, request); err != nil {
			t.Fatal(err)
		}
		n, err := unix.Read(client, answer)
		for err == unix.EINTR { // Go's scheduler signals threads
			n, err = unix.Read(client, answer)
		}
		received := time.Now()
		if err != nil || n != len(request) || answer[0] != request[0] || answer[1] != request[1] {
			t.Fatalf("try %d, %v after the last answer: got % x, %v: the frame was lost, or nobody woke up",
				len(took), gap, answer[:max(n, 0)], err)
		}
		if d := received.Sub(sent); d < edgeLimit {
			took = append(took, d)
		} else if d-stalls.between(sent, received)-(queue.waited(t)-waited) < edgeLimit {
			if repeated++; repeated > edgeRepeats {
				t.Fatalf("this machine stands still too often to say anything: after %d tries", len(took))
			}
		} else {
			took, slow = append(took, d), append(slow, d)
		}
	}
	wakes = h.status(t).Runtimes[0].Counters["wakes"] - wakes
	slices.Sort(took)
	t.Logf("%d tries: median %v, p99 %v, slowest %v; %d repeated because the machine stood still; "+
		"the worker was woken %d times", edgeTries, took[edgeTries/2], took[edgeTries*99/100],
		took[edgeTries-1], repeated, wakes)
	if len(slow) > 0 {
		t.Errorf("%d tries took more than %v: %v", len(slow), edgeLimit, slow)
	}
	if tries := uint64(edgeTries + repeated); wakes < tries/20 || wakes >= tries {
		t.Errorf("the worker was woken %d times: the gaps do not reach over the edge", wakes)
	}
}

// loopThread finds a thread of a process by the name that it gave itself.
func loopThread(t *testing.T, p *process, name string) string {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		if comm, err := os.ReadFile(thread + "/comm"); err == nil && string(comm) == name+"\n" {
			return thread
		}
	}
	t.Fatalf("%s has no thread %q", p.name, name)
	return ""
}

// softirqThreads are the kernel's threads that take packets on when a CPU is busy.
func softirqThreads(t *testing.T) (threads []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range all {
		comm, err := os.ReadFile(thread + "/comm")
		if err == nil && strings.HasPrefix(string(comm), "ksoftirqd/") {
			threads = append(threads, thread)
		}
	}
	return threads
}

// queueWatch knows how long threads waited for a CPU.
type queueWatch []*os.File

func watchQueues(t *testing.T, threads ...string) (w queueWatch) {
	t.Helper()
	for _, thread := range threads {
		f, err := os.Open(thread + "/schedstat")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		w = append(w, f)
	}
	return w
}

// waited is the sum since the threads began.
func (w queueWatch) waited(t *testing.T) (sum time.Duration) {
	t.Helper()
	var ran, waited time.Duration
	buffer := make([]byte, 128)
	for _, f := range w {
		n, err := f.ReadAt(buffer, 0)
		if n > 0 {
			_, err = fmt.Sscan(string(buffer[:n]), &ran, &waited) // the third is a count
		}
		if err != nil {
			t.Fatal(err)
		}
		sum += waited
	}
	return sum
}

// dialBlocking opens a UDP socket from A to the echo port whose calls block in the kernel: Go's poller
// would add its own wake-ups to what is measured.
func dialBlocking(t *testing.T, h *host) (fd int) {
	t.Helper()
	err := h.lab.In(lab.A, func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	timeout := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		t.Fatal(err)
	}
	to := &unix.SockaddrInet4{Port: echoPort, Addr: h.lab.End(lab.B).IPv4.As4()}
	if err := unix.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	return fd
}

// nap sleeps in the kernel. time.Sleep would be up to a scheduling round of Go's late.
func nap(d time.Duration) {
	left := unix.NsecToTimespec(d.Nanoseconds())
	for unix.Nanosleep(&left, &left) == unix.EINTR { // Go's scheduler signals threads
	}
}

// stallWatch knows when the machine stood still.
type stallWatch struct {
	mu      sync.Mutex
	stalls  []stall
	seen    []time.Time // by each watcher, when it last looked
	done    chan struct{}
	running sync.WaitGroup
}

// stall is how long a thread slept beyond its time.
type stall struct{ due, woke time.Time }

const (
	stallNap   = 100 * time.Microsecond
	stallLimit = 100 * time.Microsecond // to oversleep: more than a timer is late here (30 us)
)

// watchStalls starts one watcher for each CPU that we may use.
func watchStalls(t *testing.T) *stallWatch {
	t.Helper()
	allowed, err := pin.Allowed()
	if err != nil {
		t.Fatal(err)
	}
	w := &stallWatch{done: make(chan struct{}), seen: make([]time.Time, allowed.Count())}
	for i, cpu := range allowed.List() {
		w.running.Go(func() { w.watch(i, cpu) })
	}
	return w
}

func (w *stallWatch) watch(number, cpu int) {
	runtime.LockOSThread() // and never unlocked: the thread ends with its affinity
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		panic(err) // the CPU was allowed a moment ago
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	for {
		select {
		case <-w.done:
			return
		default:
		}
		due := time.Now().Add(stallNap)
		nap(stallNap)
		woke := time.Now()
		w.mu.Lock()
		w.seen[number] = woke
		if woke.Sub(due) > stallLimit {
			w.stalls = append(w.stalls, stall{due, woke})
		}
		w.mu.Unlock()
	}
}

// between is how long the machine stood still between from and to, summed over the CPUs, as each of
// them may have held up another step of the same answer.
func (w *stallWatch) between(from, to time.Time) (sum time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for slices.ContainsFunc(w.seen, to.After) { // a watcher is still held up
		w.mu.Unlock()
		nap(stallNap)
		w.mu.Lock()
	}
	for _, s := range w.stalls {
		if s.due.Before(from) {
			s.due = from
		}
		if s.woke.After(to) {
			s.woke = to
		}
		sum += max(s.woke.Sub(s.due), 0)
	}
	return sum
}

func (w *stallWatch) stop() {
	close(w.done)
	w.running.Wait()
}
