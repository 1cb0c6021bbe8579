package pin

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/core/mem"
)

// workerArgument makes this test binary a worker process.
const workerArgument = "-be-a-worker"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == workerArgument {
		fmt.Fprintln(os.Stderr, beWorker(os.Args[2]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// workerPlan is what a worker process is told; it inherits the pages.
type workerPlan struct {
	Owner   baton.Owner
	CPU     int
	Spin    core.Time
	Hostile bool
}

// Files that a worker inherits.
const (
	fileBaton = 3 + iota
	fileLoads
	fileScratch
)

// beWorker is a worker process. It returns on errors only.
func beWorker(arg string) error {
	var p workerPlan
	if err := json.Unmarshal([]byte(arg), &p); err != nil {
		return err
	}
	memoryPage := os.Getpagesize()
	words, err := mem.MapReadOnly(os.NewFile(fileBaton, "baton"), baton.PageBytes(rigCores, memoryPage))
	if err != nil {
		return err
	}
	loads, err := mem.Map(os.NewFile(fileLoads, "loads"), baton.PageBytes(rigOwners, memoryPage))
	if err != nil {
		return err
	}
	page, err := baton.OpenPage(words.Bytes)
	if err != nil {
		return err
	}
	load, err := baton.OpenLoad(loads.Bytes)
	if err != nil {
		return err
	}
	shared, err := mem.Map(os.NewFile(fileScratch, "scratch"), scratchBytes())
	if err != nil {
		return err
	}
	s := &scratches(shared.Bytes)[p.Owner]
	Procs(1)
	go collector(s)
	if p.Hostile {
		return beHostile(p, page, load.Line(int(p.Owner)), s)
	}
	w := &stamper{clock: NewClock(), cell: page.Cell(rigCore), self: p.Owner, scratch: s}
	l, err := New(Options{
		Name: "worker", CPU: p.CPU, Spin: p.Spin, Host: core.NewHost(w),
		Baton: &Baton{Cell: w.cell, Line: load.Line(int(p.Owner)), Self: p.Owner},
	})
	if err != nil {
		return err
	}
	return l.Run()
}

// scratchBytes is the size of the memory of all scratches.
func scratchBytes() int { return 4 * 4096 }

// stamper stamps each grant that its loop runs for.
type stamper struct {
	clock   Clock
	cell    *baton.Cell
	self    baton.Owner
	last    baton.Word
	scratch *scratch
}

func (w *stamper) Poll(core.Time) int {
	s := w.scratch
	if word := w.cell.Load(); word != w.last && word.Owner() == w.self {
		w.last = word
		// Not the turn's time: a worker that lost its CPU in the middle of a turn may find the next
		// grant here.
		s.at.Store(int64(w.clock.Now()))
		s.grants.Add(1)
		s.word.Store(uint32(word))
	}
	s.polls.Add(1)
	for s.busy.Load() != 0 {
		s.inHand.Store(1)
	}
	s.inHand.Store(0)
	return 1 - int(s.idle.Load())
}

func (w *stamper) Next(core.Time) core.Time { return core.Never }

// collector runs collections on demand, and ends the process with the test's.
func collector(s *scratch) {
	for parent := os.Getppid(); ; time.Sleep(100 * time.Microsecond) {
		if os.Getppid() != parent {
			os.Exit(1)
		}
		if s.collects.Load() == s.collect.Load() {
			continue
		}
		runtime.GC()
		s.collects.Add(1)
	}
}

// crimes of hostile workers, when the word names somebody else.
const (
	stealsAndSleeps = 1 + iota // moves waiters away, says that it waits, and sleeps
	stealsAndSpins             // moves waiters away, and goes on
	liesAndSpins               // says that it waits, and goes on
)

// beHostile is a worker that plays by the rules until it is told to commit a crime.
func beHostile(p workerPlan, page *baton.Page, line *baton.Line, s *scratch) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(p.CPU)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	cell := page.Cell(rigCore)
	for {
		w := cell.Load()
		if w.Owner() != p.Owner {
			line.Become(baton.Waiting)
			waitOn(cell.Address(), uint32(w), p.Owner.Bit())
			line.Become(baton.Running)
			continue
		}
		line.TakeUp(w)
		s.word.Store(uint32(w))
		for cell.Load() == w {
			if c := s.crime.Load(); c == stealsAndSleeps || c == stealsAndSpins {
				n, _ := requeue(cell.Address(), page.Cell(rigCore+1).Address(), w)
				s.moved.Add(uint32(n))
			}
		}
		if s.crime.Load() != stealsAndSpins {
			line.Become(baton.Waiting)
		}
		for s.crime.Load() != 0 {
			if s.crime.Load() == stealsAndSleeps {
				time.Sleep(time.Millisecond)
			}
		}
	}
}

// process is a worker process of a test.
type process struct {
	*scratch
	cmd   *exec.Cmd
	owner baton.Owner
	ended chan struct{}
}

// start starts a worker process and waits until it waits for its core.
func (r *rig) start(p workerPlan) *process {
	r.t.Helper()
	p.CPU = r.cpu
	arg, err := json.Marshal(p)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.scratch == nil {
		if r.scratch, err = mem.Create("scratch", scratchBytes()); err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { r.scratch.Close() })
	}
	w := &process{
		scratch: &scratches(r.scratch.Bytes)[p.Owner], owner: p.Owner,
		cmd: exec.Command("/proc/self/exe", workerArgument, string(arg)), ended: make(chan struct{}),
	}
	w.cmd.Stderr = os.Stderr
	w.cmd.ExtraFiles = []*os.File{r.baton.File(), r.loads.File(), r.scratch.File()}
	if err := w.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { _ = w.cmd.Wait(); close(w.ended) }()
	r.t.Cleanup(w.kill)
	r.becomes(p.Owner, baton.Waiting)
	r.thread[p.Owner] = r.pinned(w)
	return w
}

// kill ends the process and waits for that.
func (w *process) kill() {
	_ = w.cmd.Process.Kill() // it may have ended
	<-w.ended
}

func (w *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// pinned is the thread of a process that is confined to the rig's CPU.
func (r *rig) pinned(w *process) Thread {
	r.t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", w.cmd.Process.Pid))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, task := range tasks {
		var id int
		var set unix.CPUSet
		_, _ = fmt.Sscan(task.Name(), &id)
		if unix.SchedGetaffinity(id, &set) == nil && set.Count() == 1 && set.IsSet(r.cpu) {
			t, err := OpenThread(w.cmd.Process.Pid, id)
			if err != nil {
				r.t.Fatal(err)
			}
			return t
		}
	}
	r.t.Fatalf("no thread of process %d is confined to CPU %d", w.cmd.Process.Pid, r.cpu)
	return Thread{}
}
