package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

// entrant is a contestant that is up.
type entrant struct {
	name     string
	children []*child // that must run for its rows
	drivers  map[report.Loop]driver
}

// family is contestants that share a pair.
type family struct {
	names []string
	up    func(*site) ([]*entrant, error)
}

// has reports whether a row is one of the family's.
func (f family) has(w wanted) bool { return slices.Contains(f.names, w.key.Name) }

// Names of the contestants.
const (
	nameFloor       = "floor/raw"
	nameDirect      = "dunlin/direct/raw"
	nameMediated    = "dunlin/mediated/raw"
	nameMediatedUDP = "dunlin/mediated/udp"
	nameBinary      = "dunlin/binary/raw"
	nameAsavie      = "asavie/raw"
	nameSpin        = "kernel/udp-spin"
	nameBlock       = "kernel/udp-block"
	nameBatch       = "kernel/udp-batch"
	nameGo          = "go/udp"
	nameSpinBeside  = "kernel/udp-spin-with-xdp"
	nameTCP         = "kernel/tcp-alone"
	nameTCPBeside   = "kernel/tcp-beside"
)

// families are all contestants, in the order in which they are brought up.
func families() []family {
	return append([]family{
		{[]string{nameFloor}, upFloor},
		{[]string{nameDirect}, upDirect},
		{[]string{nameMediated, nameMediatedUDP}, upMediated},
		{[]string{nameBinary}, upBinary},
		{[]string{nameAsavie}, upAsavie},
		{[]string{nameSpin, nameBlock, nameBatch, nameGo, nameTCP}, upKernel},
		{[]string{nameSpinBeside, nameTCPBeside}, upBeside},
		{[]string{nameHandover, nameHandoverFloor, nameWakeFloor}, upHandover},
		{[]string{decideName()}, upDecide},
		{colocationNames(nameAlone), upAlone},
		{append(colocationNames(nameWithBE), intervalNames()...), upWithBE},
		{[]string{services[0].name(nameWithRunBE, loads[0])}, upWithRun},
		{[]string{services[0].name(nameLinux, loads[0])}, upLinux},
		{[]string{nameReference}, upReference},
	}, rpcFamilies()...)
}

// local is a driver on the generator's thread.
func (s *site) local(t Transport) driver {
	return bareDriver{s.thread, NewGenerator(t, s.o.samples())}
}

// allLoops are a driver's, if it can do all.
func allLoops(d driver) map[report.Loop]driver {
	return map[report.Loop]driver{report.Closed: d, report.Open: d, report.Window: d}
}

// upFloor is two bare ends in ping-pong.
func upFloor(s *site) ([]*entrant, error) {
	p, err := s.pair("floor")
	if err != nil {
		return nil, err
	}
	server, err := s.openEnd(p, lab.B)
	if err != nil {
		return nil, err
	}
	client, err := s.client(p)
	if err != nil {
		return nil, err
	}
	c, err := s.peer(peer{Kind: peerFloor}, birth{
		name: "floor echo", files: server.files(),
		cpu: s.cpus.server, uid: nobody,
	})
	if err != nil {
		return nil, err
	}
	return []*entrant{{nameFloor, []*child{c}, allLoops(s.local(client))}}, nil
}

// upAsavie is an echo on github.com/asavie/xdp.
func upAsavie(s *site) ([]*entrant, error) {
	p, err := s.pair("asavie")
	if err != nil {
		return nil, err
	}
	client, err := s.client(p)
	if err != nil {
		return nil, err
	}
	c, err := s.peer(peer{Kind: peerAsavie, Interface: p.Ends[lab.B].Name, UID: nobody},
		birth{name: "asavie echo", cpu: s.cpus.server, inside: s.in(lab.B)})
	if err != nil {
		return nil, err
	}
	return []*entrant{{nameAsavie, []*child{c}, allLoops(s.local(client))}}, nil
}

// await makes sure that an entrant answers, and has its process and caches warm up.
func (e *entrant) await(ctx context.Context) error {
	for _, c := range e.children {
		if err := c.resume(); err != nil {
			return err
		}
	}
	d, ok := e.drivers[report.Closed]
	if !ok {
		if d, ok = e.drivers[report.Window]; !ok {
			return nil // a stream, which is connected
		}
	}
	first := Plan{
		Loop: report.Closed, Bytes: awaitBytes, Measure: core.Millisecond,
		GiveUp: awaitGiveUp,
	}
	start := time.Now()
	for {
		r, err := d.run(ctx, first)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", e.name, err)
		case len(r.Samples) > 0 || r.Replies > 0:
			return nil
		}
		for _, c := range e.children {
			err = errors.Join(err, c.alive())
		}
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", e.name, err)
		case time.Since(start) > answerPatience:
			return fmt.Errorf("load: %s does not answer within %v", e.name, answerPatience)
		}
		time.Sleep(answerPause)
	}
}

// A first request: a small frame, and soon another one.
const (
	awaitBytes  = 64
	awaitGiveUp = 300 * core.Millisecond
)
