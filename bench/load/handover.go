package load

import (
	"context"
	"os"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
)

// Names of the contestants that hand a core over.
const (
	nameHandover      = "handover"
	nameHandoverFloor = "floor/handover"
	nameWakeFloor     = "floor/wake"
)

// freeGrants is how many grants a second a free-running row makes. At one every 5 us, as often as
// an iokernel looks, the next grant comes about when the last one has arrived: some overtake
// others.
const freeGrants = uint64(core.Second / passEvery)

// Cores measures what lending cores costs and brings: the hand-over alone, a decision of the
// policy, and a service beside others on the one core that is lent (see colocation).
//
// A hand-over is from the store that grants the core, on the iokernel's CPU, until the other
// process runs, on the one that is lent. A sample of the closed loop waits for the grant before it;
// those of the open loop do not, and a grant that another has overtaken has none. A grant that
// nobody takes up is lost. Where nobody runs that would hand the core over, as beside an ordinary
// program, it takes a wake from the iokernel's CPU: the floor of that is a sleeper on the lent one,
// beside a program of the lowest priority.
func Cores(ctx context.Context, o Options) (*Session, error) {
	return bench(ctx, o, coresSuite())
}

func coresSuite() suite {
	s := suite{name: "cores"}
	for _, loop := range []report.Loop{report.Closed, report.Open} {
		for _, name := range []string{nameHandover, nameHandoverFloor} {
			k := report.Key{Name: name, Loop: loop, Unit: report.Nanoseconds}
			if loop == report.Open {
				k.Rate = freeGrants
			}
			s.rows = append(s.rows, wanted{key: k})
		}
	}
	s.rows = append(s.rows, wanted{key: report.Key{
		Name: nameWakeFloor, Loop: report.Closed, Unit: report.Nanoseconds,
	}})
	s.rows = append(s.rows, decideRow())
	s.rows = append(s.rows, colocationRows()...)
	s.comparisons = []comparison{
		{nameHandover, nameHandoverFloor, report.P50, report.Goal{AtMost: 1.5}, quotient},
		{nameHandover, nameHandoverFloor, report.P99, report.Goal{AtMost: 4}, quotient},
	}
	s.comparisons = append(s.comparisons, colocationGoals()...)
	s.combined = []combination{wakeShare()}
	return s
}

// Owners of the two processes that hand a core to each other.
const (
	firstOwner  baton.Owner = 1
	secondOwner baton.Owner = 2
	ownerLines              = 3 // one for nobody
)

// handoverCore is the core's place on the page.
const handoverCore = 0

// handoverPages is the memory that both processes inherit, in this order.
type handoverPages struct {
	page          *baton.Page
	stamps        []stamp
	words, load   *mem.Memory
	stampedMemory *mem.Memory
}

func (p *handoverPages) files() []*os.File {
	return []*os.File{p.words.File(), p.load.File(), p.stampedMemory.File()}
}

// newHandoverPages makes them: the word can be written by us alone.
func (s *site) newHandoverPages() (*handoverPages, error) {
	var p handoverPages
	var err error
	if p.words, err = mem.Publish("bench-baton", wordBytes()); err != nil {
		return nil, err
	}
	s.atClose(p.words.Close)
	if p.load, err = mem.Create("bench-load", loadBytes()); err != nil {
		return nil, err
	}
	s.atClose(p.load.Close)
	if p.stampedMemory, err = mem.Create("bench-stamps", stampBytes()); err != nil {
		return nil, err
	}
	s.atClose(p.stampedMemory.Close)
	if p.page, err = baton.NewPage(p.words.Bytes, handoverCore+1); err != nil {
		return nil, err
	}
	if _, err = baton.NewLoad(p.load.Bytes, ownerLines); err != nil {
		return nil, err
	}
	p.stamps = layStamps(p.stampedMemory.Bytes)
	return &p, nil
}

func wordBytes() int  { return baton.PageBytes(handoverCore+1, os.Getpagesize()) }
func loadBytes() int  { return baton.PageBytes(ownerLines, os.Getpagesize()) }
func stampBytes() int { return os.Getpagesize() }

// upHandover is pairs of processes that share the servers' CPU and have nothing to do but to take
// it up: one of loops, one of the bare system calls, one of a sleeper and who runs meanwhile. Their
// other threads, such as those of Go's scheduler, are on the generator's CPU, as those of a runtime
// are that is lent a core: on the servers' they would be what the slowest hand-overs show.
func upHandover(s *site) ([]*entrant, error) {
	var all []*entrant
	for _, e := range [...]struct {
		name          string
		first, second peerKind
	}{
		{nameHandover, peerHandover, peerHandover},
		{nameHandoverFloor, peerHandoverFloor, peerHandoverFloor},
		{nameWakeFloor, peerIdle, peerWakeFloor},
	} {
		p, err := s.newHandoverPages()
		if err != nil {
			return nil, err
		}
		var children []*child
		for i, kind := range []peerKind{e.first, e.second} {
			o := firstOwner + baton.Owner(i)
			c, err := s.peer(peer{Kind: kind, Owner: o, CPU: s.cpus.server}, birth{
				name: e.name + " worker", files: p.files(), cpu: s.cpus.generator, uid: nobody,
			})
			if err != nil {
				return nil, err
			}
			children = append(children, c)
		}
		d := &handoverDriver{
			thread: s.thread, page: p.page, stamps: p.stamps,
			waker: pin.NewWaker(), samples: make([]uint32, s.o.samples()),
		}
		drivers := map[report.Loop]driver{report.Closed: d, report.Open: d}
		if e.first == peerIdle {
			d.wakes = true
			delete(drivers, report.Open)
		}
		all = append(all, &entrant{e.name, children, drivers})
	}
	return all, nil
}
