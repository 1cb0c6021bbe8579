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
	nameGo          = "go/udp"
	nameSpinBeside  = "kernel/udp-spin-with-xdp"
	nameTCP         = "kernel/tcp-alone"
	nameTCPBeside   = "kernel/tcp-beside"
)

// families are all contestants, in the order in which they are brought up.
func families() []family {
	return []family{
		{[]string{nameFloor}, upFloor},
		{[]string{nameDirect}, upDirect},
		{[]string{nameMediated, nameMediatedUDP}, upMediated},
		{[]string{nameBinary}, upBinary},
		{[]string{nameAsavie}, upAsavie},
		{[]string{nameSpin, nameBlock, nameGo, nameTCP}, upKernel},
		{[]string{nameSpinBeside, nameTCPBeside}, upBeside},
	}
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
	c, err := s.peer(peer{Kind: peerFloor}, birth{name: "floor echo", files: server.files(),
		cpu: s.cpus.server, uid: nobody})
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

// Ports of the kernel's servers, any that are free in a namespace of one's own.
const (
	portSpin  = 7001
	portBlock = 7002
	portGo    = 7003
	portTCP   = 7004
	portUDP   = 7777 // dunlin's

	portClient = 9001 // of a client that makes its UDP packets itself
)

// upKernel is the kernel's own sockets, on a pair without XDP.
//
// In the open loop the generator polls against every server, since one that slept between its
// requests would send them late.
func upKernel(s *site) ([]*entrant, error) {
	p, err := s.pair("kernel")
	if err != nil {
		return nil, err
	}
	spin, err := s.udpSpin(p, nameSpin)
	if err != nil {
		return nil, err
	}
	block, err := s.udpBlock(p)
	if err != nil {
		return nil, err
	}
	inGo, err := s.udpGo(p)
	if err != nil {
		return nil, err
	}
	tcp, err := s.tcp(p, nameTCP)
	if err != nil {
		return nil, err
	}
	return []*entrant{spin, block, inGo, tcp}, nil
}

// kernelPeer starts a server on side B, without rights.
func (s *site) kernelPeer(p *lab.Pair, name string, kind peerKind, port uint16) (*child, error) {
	return s.peer(peer{Kind: kind, At: at(p, port)}, birth{name: name + " server",
		cpu: s.cpus.server, uid: nobody, inside: s.in(lab.B)})
}

// kernelClient opens a UDP socket on side A.
func (s *site) kernelClient(p *lab.Pair, port uint16, blocks bool) (*udpClient, error) {
	var c *udpClient
	err := s.lab.In(lab.A, func() (err error) {
		c, err = newUDPClient(from(p), at(p, port), blocks)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.atClose(c.Close)
	return c, nil
}

func (s *site) udpSpin(p *lab.Pair, name string) (*entrant, error) {
	c, err := s.kernelPeer(p, name, peerSpin, portSpin)
	if err != nil {
		return nil, err
	}
	client, err := s.kernelClient(p, portSpin, false)
	if err != nil {
		return nil, err
	}
	return &entrant{name, []*child{c}, allLoops(s.local(client))}, nil
}

func (s *site) udpBlock(p *lab.Pair) (*entrant, error) {
	c, err := s.kernelPeer(p, nameBlock, peerBlock, portBlock)
	if err != nil {
		return nil, err
	}
	blocking, err := s.kernelClient(p, portBlock, true)
	if err != nil {
		return nil, err
	}
	polling, err := s.kernelClient(p, portBlock, false)
	if err != nil {
		return nil, err
	}
	return &entrant{nameBlock, []*child{c}, map[report.Loop]driver{
		report.Closed: s.local(blocking), report.Open: s.local(polling)}}, nil
}

// udpGo has a client that is a process of its own, as a program is, confined to its CPU like all:
// on the generator's locked thread it would pay for the lock.
func (s *site) udpGo(p *lab.Pair) (*entrant, error) {
	server, err := s.kernelPeer(p, nameGo, peerGo, portGo)
	if err != nil {
		return nil, err
	}
	client, err := s.peer(peer{Kind: peerGoClient, At: at(p, portGo), Samples: s.o.samples()},
		birth{name: nameGo + " client", cpu: s.cpus.generator, uid: nobody, input: true,
			inside: s.in(lab.A)})
	if err != nil {
		return nil, err
	}
	polling, err := s.kernelClient(p, portGo, false)
	if err != nil {
		return nil, err
	}
	return &entrant{nameGo, []*child{server, client}, map[report.Loop]driver{
		report.Closed: newRemoteDriver(client), report.Open: s.local(polling)}}, nil
}

func (s *site) tcp(p *lab.Pair, name string) (*entrant, error) {
	c, err := s.kernelPeer(p, name, peerTCP, portTCP)
	if err != nil {
		return nil, err
	}
	var d *streamDriver
	err = s.lab.In(lab.A, func() (err error) {
		d, err = connectTCP(s.thread, at(p, portTCP), c.alive)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.atClose(d.Close)
	return &entrant{name, []*child{c}, map[report.Loop]driver{report.Stream: d}}, nil
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
	first := Plan{Loop: report.Closed, Bytes: awaitBytes, Measure: core.Millisecond,
		GiveUp: awaitGiveUp}
	start := time.Now()
	for {
		r, err := d.run(ctx, first)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", e.name, err)
		case len(r.Samples) > 0:
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
	awaitGiveUp = 50 * core.Millisecond
)
