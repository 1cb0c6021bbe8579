package daemon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// Where a worker's statements lie in its line, as baton.Line has it.
const (
	lineOldest = 0
	lineBegan  = 8
	lineTimer  = 16
	lineQueued = 24
	lineAck    = 32
	lineState  = 36
	lineDue    = 40
)

// lie is a statement of a worker about itself that cannot be, and what it is called. tell writes it
// over what the worker's honest loop has written.
type lie struct {
	name string
	kind baton.Nonsense
	tell func(line []byte, now core.Time, random *rand.Rand)
}

func lies() []lie {
	const hour = 3600 * core.Second
	word := binary.NativeEndian.PutUint32
	long := func(b []byte, t core.Time) { binary.NativeEndian.PutUint64(b, uint64(t)) }
	return []lie{
		{"a task of tomorrow", baton.FutureTask, func(b []byte, now core.Time, _ *rand.Rand) {
			long(b[lineOldest:], now+hour)
			word(b[lineQueued:], 1)
		}},
		{"a request of the last day", baton.FutureRequest, func(b []byte, _ core.Time, _ *rand.Rand) {
			long(b[lineBegan:], math.MaxInt64)
		}},
		{"times before time", baton.NegativeTime, func(b []byte, _ core.Time, _ *rand.Rand) {
			long(b[lineOldest:], -1)
			long(b[lineBegan:], math.MinInt64)
			long(b[lineTimer:], math.MinInt64)
			long(b[lineDue:], -1)
		}},
		{"less than no tasks", baton.QueueRange, func(b []byte, _ core.Time, _ *rand.Rand) {
			word(b[lineQueued:], ^uint32(0))
		}},
		{"endless tasks of long ago", baton.QueueRange, func(b []byte, _ core.Time, _ *rand.Rand) {
			long(b[lineOldest:], 1)
			word(b[lineQueued:], math.MaxInt32)
		}},
		{"a state that there is not", baton.UnknownState, func(b []byte, _ core.Time, _ *rand.Rand) {
			word(b[lineState:], 1<<31)
		}},
		{"a core of somebody else", baton.ForeignAck, func(b []byte, _ core.Time, _ *rand.Rand) {
			word(b[lineAck:], uint32(baton.Word(binary.NativeEndian.Uint32(b[lineAck:])).Next(
				baton.MaxOwner)))
		}},
		{"a beat that stands", baton.StandingBeat, func(b []byte, now core.Time, _ *rand.Rand) {
			long(b[lineBegan:], now) // or it is taken for idle
			for start := time.Now(); time.Since(start) < 250*time.Millisecond; {
			}
		}},
		{"anything", baton.QueueRange, func(b []byte, _ core.Time, random *rand.Rand) {
			for i := 0; i < len(b); i += 4 {
				word(b[i:], random.Uint32()>>random.IntN(32))
			}
		}},
	}
}

// liar is a poller that lies about the worker that polls it. The header of its page is its own to
// spoil as well: nobody reads it back.
type liar struct {
	lie
	line, page []byte
	random     *rand.Rand
}

func (l *liar) Poll(now core.Time) int {
	l.tell(l.line, now, l.random)
	for i := range l.page[:baton.LineBytes] {
		l.page[i] = byte(l.random.Uint32())
	}
	return 1
}

func (l *liar) Next(now core.Time) core.Time { return now }

// handLoan is what a runtime of one lent core is handed, taken by hand.
type handLoan struct {
	client *control.Client
	grant  control.Grant
	words  *mem.Memory
	page   *baton.Page
	lines  *mem.Memory
	load   *baton.Load
}

func openLoan(socket, name string) (*handLoan, error) {
	client, err := control.Dial(socket)
	if err != nil {
		return nil, err
	}
	h := &handLoan{client: client}
	grant, files, err := client.Attach(control.Hello{Runtime: name, Mode: control.Mediated})
	if err != nil {
		return nil, err
	}
	h.grant = grant
	size := baton.PageBytes(len(grant.Loan.Cores), os.Getpagesize())
	if h.words, err = mem.MapReadOnly(files[control.FileBaton], size); err != nil {
		return nil, err
	}
	if h.page, err = baton.OpenPage(h.words.Bytes); err != nil {
		return nil, err
	}
	if h.lines, err = mem.Map(files[control.FileLoad], size); err != nil {
		return nil, err
	}
	h.load, err = baton.OpenLoad(h.lines.Bytes)
	return h, err
}

// playLiar hands its core over as everybody should, and tells one lie after another.
func playLiar(socket, name, what, seed string) error {
	h, err := openLoan(socket, name)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return err
	}
	l := &liar{
		line: h.lines.Bytes[baton.LineBytes : 2*baton.LineBytes], page: h.lines.Bytes,
		random: rand.New(rand.NewPCG(n, 0)),
	}
	for _, l.lie = range lies() {
		if l.name == what {
			break
		}
	}
	if l.name != what {
		return errors.New("no such lie")
	}
	loop, err := pin.New(pin.Options{
		Name: "liar", CPU: h.grant.Loan.Cores[0], Spin: core.Never, Host: core.NewHost(l),
		Baton: &pin.Baton{
			Cell: h.page.Cell(0), Line: h.load.Line(0), Self: baton.Owner(h.grant.Loan.Owner),
		},
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- loop.Run() }()
	for loop.Thread() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := h.client.Threads([]int{loop.Thread()}); err != nil {
		return err
	}
	fmt.Println(ready)
	select {
	case err = <-ended:
	case <-h.client.Done():
		err = h.client.Wait()
	}
	return err
}

// nonsenseOf is what a runtime has said that cannot be, by kind.
func (d *Daemon) nonsenseOf(name string) (n baton.Counts) {
	if a := d.attachmentOf(name); a != nil {
		d.loop.Do(func() { n = d.lending.scheduler.Report(d.clock.Now(), a.loan).Nonsense })
	}
	return n
}

// untrue is how much nonsense that is which nobody says by accident. An honest worker's beat stands
// when the machine does not let it run, and its times are of the future when it is the iokernel that
// does not run between a look at the clock and one at the page.
func (d *Daemon) untrue(name string) uint64 {
	n := d.nonsenseOf(name)
	return n.Sum() - n[baton.StandingBeat] - n[baton.FutureTask] - n[baton.FutureRequest]
}

// TestLiesCostOnlyTheLiar has a process of nobody write nonsense about its worker, as best effort
// and, without a core of its own, as latency-critical. It is counted; nobody panics; the service
// beside it, whose core is reserved, has it whenever somebody asks.
func TestLiesCostOnlyTheLiar(t *testing.T) {
	for _, class := range []config.Class{config.ClassBE, config.ClassLC} {
		t.Run(class.String(), func(t *testing.T) {
			l := newLab(t, lab.PairOptions{})
			d := startDaemon(t, l, func(o *Options) {
				lendingOptions(t, o)
				be := &o.Config.Runtimes[1]
				be.Class = class
				be.Endpoints = []config.Endpoint{{UDP: otherPort}}
			})
			victim := startChild(t, "echo", d.Socket(), "echo", modeMediated)
			conn := dialEcho(t, l)
			ask(t, conn)
			startTraffic(t, l, otherPort) // what an lc liar gets the core for
			for i, lie := range lies() {
				t.Run(lie.name, func(t *testing.T) {
					c := startChild(t, "liar", d.Socket(), batchName, modeMediated, lie.name,
						strconv.Itoa(i))
					await(t, "the lie is counted", func() bool {
						if lie.kind != baton.StandingBeat { // which takes the core for a while
							ask(t, conn)
							time.Sleep(time.Millisecond)
						}
						return d.nonsenseOf(batchName)[lie.kind] > 0
					})
					for range 10 {
						ask(t, conn)
						time.Sleep(time.Millisecond)
					}
					r := coresOf(t, d)
					if err := coresAddUp(r); err != nil {
						t.Error(err)
					}
					if n := d.untrue("echo"); n > 0 {
						t.Errorf("%d statements of the honest one are said to be nonsense: %v", n,
							d.nonsenseOf("echo"))
					}
					if user(r, batchName).Nonsense == 0 || d.nonsenseMetric(t, batchName) == 0 {
						t.Error("dunlin cores or the metrics do not show the nonsense")
					}
					c.kill()
					await(t, "detached", func() bool { return d.attachmentOf(batchName) == nil })
					ask(t, conn)
				})
			}
			if victim.cmd.ProcessState != nil {
				t.Error("the honest one has ended")
			}
		})
	}
}

// nonsenseMetric is what the metrics say of a runtime's nonsense.
func (d *Daemon) nonsenseMetric(t *testing.T, name string) uint64 {
	t.Helper()
	s, err := d.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range s.Cores.Runtimes {
		if u.Runtime == name {
			return u.Nonsense
		}
	}
	return 0
}
