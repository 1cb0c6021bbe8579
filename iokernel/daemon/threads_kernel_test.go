package daemon

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/iokernel/cores"
)

// handAttach attaches by hand, and is detached with the test.
func handAttach(t *testing.T, d *Daemon, name string) *control.Client {
	t.Helper()
	client, err := control.Dial(d.Socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	_, files, err := client.Attach(control.Hello{Runtime: name, Mode: control.Mediated})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		f.Close()
	}
	return client
}

// Whoever could name a thread of another process could have the iokernel, which is root, demote or
// signal it.
func TestForeignThreadsAreRefused(t *testing.T) {
	_, d := lend(t)
	beside := startChild(t, "compute", d.Socket(), batchName, modeMediated)
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	client := handAttach(t, d, "echo")
	for name, id := range map[string]int{
		"nobody": 0, "a process group": -1, "init": 1,
		"another runtime's process": beside.cmd.Process.Pid,
		"another runtime's worker":  workerThread(t, d, batchName),
		"an ended process":          ended.Process.Pid,
	} {
		err := client.Threads([]int{id})
		if err == nil {
			t.Fatalf("%s: accepted", name)
		}
		says(t, err, "is not a thread of the runtime's process")
	}
	says(t, client.Threads(nil), "0 threads", "1 workers")
	if u := user(coresOf(t, d), "echo"); u.Grants != 0 || u.Held != 0 {
		t.Errorf("it has had cores: %+v", u)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := client.Threads([]int{unix.Gettid()}); err != nil {
		t.Fatalf("its own: %v", err)
	}
	says(t, client.Threads([]int{unix.Gettid()}), "known already")
}

// workerThread is the thread that a runtime has named, once it has.
func workerThread(t *testing.T, d *Daemon, name string) (id int) {
	t.Helper()
	await(t, name+" has named its thread", func() bool {
		a := d.attachmentOf(name)
		if a == nil {
			return false
		}
		thread, ok := d.lending.hands.thread(0, a.loan.Owner())
		id = thread.ID()
		return ok
	})
	return id
}

// oddOwner is an attachment of nobody's.
type oddOwner struct{}

func (*oddOwner) Evict(string) {}

// TestThreadsThatAreRefusedOnTwoCores needs two lent cores, which a machine of two CPUs has not: so
// it asks the part of the iokernel that decides, and nothing else of it runs.
func TestThreadsThatAreRefusedOnTwoCores(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	by, own, second := &oddOwner{}, unix.Gettid(), secondThread(t)
	for name, test := range map[string]struct {
		spoil func(*attachment)
		ids   []int
		says  []string
	}{
		"one twice":   {nil, []int{own, own}, []string{"named twice"}},
		"too few":     {nil, []int{own}, []string{"1 threads", "2 workers"}},
		"too many":    {nil, []int{own, second, second}, []string{"3 threads", "2 workers"}},
		"one foreign": {nil, []int{own, 1}, []string{"thread 1 is not a thread"}},
		"of a process that nobody knows": {
			func(a *attachment) { a.peer.PID = 0 },
			[]int{own, second},
			[]string{"another PID namespace", "take its class out"},
		},
		"of a runtime whose cores are its own": {
			func(a *attachment) { a.loan = nil },
			[]int{own, second},
			[]string{"have their cores for good"},
		},
		"again": {
			func(a *attachment) { a.threads = true },
			[]int{own, second},
			[]string{"known already"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := &attachment{
				peer: control.Credentials{PID: os.Getpid()}, loan: &cores.Runtime{},
				runtime: &iokernel.Runtime{},
			}
			if test.spoil != nil {
				test.spoil(a)
			}
			known := a.threads
			d := &Daemon{
				lending:  &lending{cpus: []int{1, 2}, hands: &hands{}},
				attached: map[owner]*attachment{by: a},
			}
			says(t, d.threads(by, test.ids), test.says...)
			if a.threads != known {
				t.Error("they are said to be known")
			}
		})
	}
}

// secondThread is another thread of this process than the caller's.
func secondThread(t *testing.T) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range tasks {
		if id, err := strconv.Atoi(e.Name()); err == nil && id != unix.Gettid() {
			return id
		}
	}
	t.Fatal("this process has one thread")
	return 0
}

// What can be had is what the configuration allows, whatever the machine has, and the refusal says
// both figures.
func TestMoreCoresThanAllowed(t *testing.T) {
	c := config.Default()
	c.CPU, c.Cores.Lend = 0, config.Lend{List: []int{1, 2, 3}}
	for _, most := range []int{0, 2} {
		r := config.DefaultRuntime()
		r.Name, r.Class, r.Most = "batch", config.ClassBE, most
		r.UIDs = []config.Account{config.ID(nobody)}
		c.Runtimes = []config.Runtime{r}
		d := &Daemon{o: Options{Config: c}, allowed: []int{0, 1, 2, 3}}
		can, figures := 3, "asks for 4 cores and can get 3 at most"
		if most > 0 {
			can, figures = most, "asks for 3 cores and can get 2 at most"
		}
		who := control.Credentials{PID: 1, UID: nobody, GID: nobody}
		hello := control.Hello{Runtime: "batch", Mode: control.Mediated, Cores: can}
		if refusal := d.policy().Attach(who, hello); refusal != nil {
			t.Errorf("most %d, asks for %d: %v", most, can, refusal)
		}
		hello.Cores++
		refusal := d.policy().Attach(who, hello)
		if refusal == nil || !strings.Contains(refusal.Error(), figures) {
			t.Errorf("most %d, asks for %d: %v, want %q", most, hello.Cores, refusal, figures)
		}
	}
}

// The same holds for an application around its iokernel, which asks no policy; and there a class
// changes nothing, because nobody else could have the core.
func TestSoloWithAClass(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	d := startDaemon(t, l, func(o *Options) {
		lendingOptions(t, o)
		o.Private = true
	})
	_, err := attach.Open(attach.Options{Name: "echo", Solo: d, Cores: 2})
	says(t, err, "asks for 2 cores", "can get 1")
	_, err = attach.Open(attach.Options{Name: "echo", Solo: d, Cores: -1})
	says(t, err, "-1 cores")
	rt := openRuntime(t, attach.Options{Name: "echo", Solo: d, Cores: 1})
	if rt.Grant().Loan != nil || rt.Seat(0) != nil || rt.Workers() != 1 || d.Lent() != nil {
		t.Errorf("loan %+v, seat %v, %d workers, lent %v", rt.Grant().Loan, rt.Seat(0), rt.Workers(),
			d.Lent())
	}
	if err := rt.HandleUDP(echoPort, func(r *dataplane.Request) { r.Turn() }); err != nil {
		t.Fatal(err)
	}
	runRuntime(t, rt)
	exchange(t, l, l.End(lab.B).IPv4, 20)
	if _, err := d.Cores(0); err == nil {
		t.Error("it says who has which of the cores that it does not lend")
	}
}
