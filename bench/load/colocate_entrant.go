package load

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/iokernel/daemon"
)

// batchName is the best-effort runtime of an iokernel that lends.
const batchName = "batch"

// runtime is the name of the service's runtime.
func (s service) runtime() string {
	return "service" + strings.ReplaceAll(s.suffix, "/", "-")
}

// lendingConfig is what an iokernel is told that lends the servers' CPU: a latency-critical runtime
// for each service, and a best-effort one.
func (s *site) lendingConfig(p *lab.Pair) config.Config {
	c := s.iokernelConfig(p)
	c.Cores.Lend = config.Lend{List: []int{s.cpus.server}}
	c.Runtimes = nil
	for _, k := range services {
		r := config.DefaultRuntime()
		r.Name, r.Class = k.runtime(), config.ClassLC
		r.UIDs = []config.Account{config.ID(nobody)}
		r.Endpoints = []config.Endpoint{{EtherType: k.ether}}
		c.Runtimes = append(c.Runtimes, r)
	}
	be := config.DefaultRuntime()
	be.Name, be.Class, be.UIDs = batchName, config.ClassBE, []config.Account{config.ID(nobody)}
	c.Runtimes = append(c.Runtimes, be)
	return c
}

// colocation is an iokernel that lends the servers' CPU, with services attached.
type colocation struct {
	site     *site
	pair     *lab.Pair
	config   config.Config
	daemon   *daemon.Daemon
	client   *frameClient
	services map[string]*child // by suffix
}

// newColocation brings one up. Nobody but workers is to run on the servers' CPU.
func (s *site) newColocation(name string, services ...service) (*colocation, error) {
	p, err := s.pair(name)
	if err != nil {
		return nil, err
	}
	c := &colocation{site: s, pair: p, config: s.lendingConfig(p), services: map[string]*child{}}
	if c.daemon, err = s.startIokernel(c.config); err != nil {
		return nil, err
	}
	if c.client, err = s.client(p); err != nil {
		return nil, err
	}
	for _, k := range services {
		c.services[k.suffix], err = s.peer(peer{
			Kind: peerService, Socket: c.config.Control.Socket, Runtime: k.runtime(),
			Ether: k.ether, Work: k.work,
		}, birth{name: name + " " + k.runtime(), cpu: s.cpus.generator, uid: nobody})
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// driver is one for a service.
func (c *colocation) driver(k service) driver {
	t := headed{c.client, frameHeader(c.pair, wire.EtherType(k.ether))}
	if c.site.cpus.iokernel == c.site.cpus.generator {
		return hostDriver{c.daemon.Loop(), c.daemon.Host(), NewGenerator(t, c.site.o.samples())}
	}
	return c.site.local(t)
}

// entrant is a row's: a service, and who is beside it.
func (c *colocation) entrant(name string, k service, d colocationDriver,
	beside ...*child,
) *entrant {
	d.driver, d.work = c.driver(k), k.work
	if k.work == 0 {
		d.work = core.Microsecond // what an echo takes of the core's time, about
	}
	e := &entrant{name: name, children: append([]*child{c.services[k.suffix]}, beside...)}
	e.drivers = map[report.Loop]driver{report.Open: &d, report.Closed: &d}
	return e
}

// upAlone is the services without anybody beside them.
func upAlone(s *site) ([]*entrant, error) {
	c, err := s.newColocation("alone", services[:]...)
	if err != nil {
		return nil, err
	}
	var all []*entrant
	for _, k := range services {
		for _, percent := range loads {
			all = append(all, c.entrant(k.name(nameAlone, percent), k, colocationDriver{}))
		}
	}
	return append(all, c.entrant(services[0].name(nameAlone, seldom), services[0],
		colocationDriver{})), nil
}

// upBeside is the services beside a best-effort runtime, and the sweep over the intervals between
// passes.
func upWithBE(s *site) ([]*entrant, error) {
	c, err := s.newColocation("with-be", services[:]...)
	if err != nil {
		return nil, err
	}
	memory, err := s.newShare()
	if err != nil {
		return nil, err
	}
	batch, err := s.peer(peer{Kind: peerCompute, Socket: c.config.Control.Socket}, birth{
		name: "batch", files: []*os.File{memory.File()}, cpu: s.cpus.generator, uid: nobody,
	})
	if err != nil {
		return nil, err
	}
	d := colocationDriver{beside: layShare(memory.Bytes)}
	var all []*entrant
	for _, k := range services {
		for _, percent := range loads {
			all = append(all, c.entrant(k.name(nameWithBE, percent), k, d, batch))
		}
	}
	all = append(all, c.entrant(services[0].name(nameWithBE, seldom), services[0], d, batch))
	for _, t := range intervals {
		swept := d
		swept.prepare = func() { c.daemon.SetPasses(t, core.Never) }
		swept.complete = func() { c.daemon.SetPasses(c.config.Cores.Interval, 0) }
		all = append(all, c.entrant(intervalName(t), services[0], swept, batch))
	}
	s.timeline = func() *report.Timeline { return c.timeline() }
	return all, nil
}

func (s *site) newShare() (*mem.Memory, error) {
	memory, err := mem.Create("bench-share", os.Getpagesize())
	if err == nil {
		s.atClose(memory.Close)
	}
	return memory, err
}

// burn is an ordinary program that takes all the time it gets.
func burn() []string { return []string{"/bin/sh", "-c", "while :; do :; done"} }

// upWithRun is a service beside an ordinary program under `dunlin run --be`.
func upWithRun(s *site) ([]*entrant, error) {
	if len(s.o.Run) == 0 {
		return nil, &leftOut{"there is no program that runs others on lent cores"}
	}
	c, err := s.newColocation("with-run", services[0])
	if err != nil {
		return nil, err
	}
	command := append(append([]string{}, s.o.Run...), "--be", "--as", batchName, "--socket",
		c.config.Control.Socket, "--")
	program, err := s.start(birth{
		name: "run --be", command: append(command, burn()...), cpu: anyCPU,
		uid: nobody, family: true,
	}, true)
	if err != nil {
		return nil, err
	}
	k := services[0]
	return []*entrant{
		c.entrant(k.name(nameWithRunBE, loads[0]), k, colocationDriver{}, program),
	}, nil
}

// upLinux is the service on a kernel socket, beside the same program, as the kernel schedules them.
func upLinux(s *site) ([]*entrant, error) {
	p, err := s.pair("linux")
	if err != nil {
		return nil, err
	}
	k := services[0]
	server, err := s.peer(peer{Kind: peerBlock, At: at(p, portBlock), Work: k.work}, birth{
		name: "linux server", cpu: s.cpus.server, uid: nobody, inside: s.in(lab.B),
	})
	if err != nil {
		return nil, err
	}
	program, err := s.start(birth{
		name: "program", command: burn(), cpu: s.cpus.server, uid: nobody,
	}, false)
	if err != nil {
		return nil, err
	}
	client, err := s.kernelClient(p, portBlock, false)
	if err != nil {
		return nil, err
	}
	return []*entrant{{
		k.name(nameLinux, loads[0]), []*child{server, program}, allLoops(s.local(client)),
	}}, nil
}

// upReference is a thread that only looks at the clock.
func upReference(s *site) ([]*entrant, error) {
	memory, err := s.newShare()
	if err != nil {
		return nil, err
	}
	c, err := s.peer(peer{Kind: peerReference}, birth{
		name: "reference", files: []*os.File{memory.File()}, cpu: s.cpus.server, uid: nobody,
	})
	if err != nil {
		return nil, err
	}
	d := &referenceDriver{share: layShare(memory.Bytes)}
	s.remarks = append(s.remarks, func() string {
		return fmt.Sprintf("a thread that only looked at the clock on CPU %d for %.1f s stood "+
			"still for over 1 ms %d times, %.1f ms in all, at most %.1f ms", s.cpus.server,
			float64(d.looked)/1e9, d.stalls, float64(d.missed)/1e6, float64(d.most)/1e6)
	})
	return []*entrant{{nameReference, []*child{c}, map[report.Loop]driver{report.Closed: d}}}, nil
}

// timeline draws the last decisions of the iokernel.
func (c *colocation) timeline() *report.Timeline {
	cores, err := c.daemon.Cores(timelineDecisions)
	if err != nil || len(cores.Decisions) == 0 {
		return nil
	}
	last := cores.Decisions[0].Age
	shown := slices.IndexFunc(cores.Decisions, func(e control.Decision) bool {
		return e.Age-last > timelineLength
	})
	if shown > 1 {
		cores.Decisions = cores.Decisions[:shown]
	}
	first := cores.Decisions[len(cores.Decisions)-1].Age
	t := &report.Timeline{
		Title: "the last decisions of the iokernel beside batch", Ns: int64(first - last),
	}
	for _, k := range cores.Cores {
		lane := report.Lane{Name: fmt.Sprintf("CPU %d", k.CPU)}
		until := last
		for _, e := range cores.Decisions { // the latest first
			if e.Core != k.Core {
				continue
			}
			if e.To != "" {
				lane.Spans = append(lane.Spans, report.Span{
					Owner: e.To, Why: e.Reason,
					From: int64(first - e.Age), To: int64(first - until),
				})
			}
			until = e.Age
		}
		t.Cores = append(t.Cores, lane)
	}
	return t
}

// Of the decisions so many are drawn, if they are not older. (guess: as many as can be told apart)
const (
	timelineDecisions = 96
	timelineLength    = 5 * core.Millisecond
)
