package load

import (
	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/xdp"
)

// Ports of the kernel's servers, any that are free in a namespace of one's own.
const (
	portSpin  = 7001
	portBlock = 7002
	portGo    = 7003
	portTCP   = 7004
	portBatch = 7005
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
	return s.upEach(p, []contestant{
		{nameSpin, (*site).udpSpin},
		{nameBlock, (*site).udpBlock},
		{nameBatch, (*site).udpBatch},
		{nameGo, (*site).udpGo},
		{nameTCP, (*site).tcp},
	})
}

// contestant is one that can be brought up on a pair by itself.
type contestant struct {
	name string
	up   func(s *site, p *lab.Pair, name string) (*entrant, error)
}

// upEach brings up those that are wanted.
func (s *site) upEach(p *lab.Pair, all []contestant) ([]*entrant, error) {
	var up []*entrant
	for _, c := range all {
		if !s.wants[c.name] {
			continue
		}
		e, err := c.up(s, p, c.name)
		if err != nil {
			return nil, err
		}
		up = append(up, e)
	}
	return up, nil
}

// kernelPeer starts a server on side B, without rights.
func (s *site) kernelPeer(p *lab.Pair, name string, kind peerKind, port uint16) (*child, error) {
	return s.peer(peer{Kind: kind, At: at(p, port)}, birth{
		name: name + " server",
		cpu:  s.cpus.server, uid: nobody, inside: s.in(lab.B),
	})
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

func (s *site) udpBlock(p *lab.Pair, name string) (*entrant, error) {
	c, err := s.kernelPeer(p, name, peerBlock, portBlock)
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
	return &entrant{name, []*child{c}, map[report.Loop]driver{
		report.Closed: s.local(blocking), report.Open: s.local(polling),
	}}, nil
}

func (s *site) udpBatch(p *lab.Pair, name string) (*entrant, error) {
	c, err := s.kernelPeer(p, name, peerBatch, portBatch)
	if err != nil {
		return nil, err
	}
	var client *batchClient
	err = s.lab.In(lab.A, func() (err error) {
		client, err = newBatchClient(from(p), at(p, portBatch))
		return err
	})
	if err != nil {
		return nil, err
	}
	s.atClose(client.Close)
	return &entrant{name, []*child{c}, allLoops(s.local(client))}, nil
}

// udpGo has a client that is a process of its own, as a program is, confined to its CPU like all:
// on the generator's locked thread it would pay for the lock.
func (s *site) udpGo(p *lab.Pair, name string) (*entrant, error) {
	server, err := s.kernelPeer(p, name, peerGo, portGo)
	if err != nil {
		return nil, err
	}
	client, err := s.peer(peer{Kind: peerGoClient, At: at(p, portGo), Samples: s.o.samples()},
		birth{
			name: name + " client", cpu: s.cpus.generator, uid: nobody, input: true,
			inside: s.in(lab.A),
		})
	if err != nil {
		return nil, err
	}
	polling, err := s.kernelClient(p, portGo, false)
	if err != nil {
		return nil, err
	}
	return &entrant{name, []*child{server, client}, map[report.Loop]driver{
		report.Closed: newRemoteDriver(client), report.Open: s.local(polling),
	}}, nil
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

// upBeside is the kernel's sockets on a pair on which the steering program is attached and takes
// nothing: what traffic pays that only passes.
func upBeside(s *site) ([]*entrant, error) {
	p, err := s.pair("beside")
	if err != nil {
		return nil, err
	}
	b := p.Ends[lab.B]
	steer, err := bpf.LoadSteer(bpf.SteerOptions{Queues: 1, MAC: b.MAC})
	if err != nil {
		return nil, err
	}
	s.atClose(steer.Close)
	err = s.lab.In(lab.B, func() error {
		i, err := xdp.Open(xdp.Options{Interface: b.Name, Program: steer})
		if err == nil {
			s.atClose(func() error { return s.lab.In(lab.B, i.Close) })
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.upEach(p, []contestant{
		{nameSpinBeside, (*site).udpSpin}, {nameTCPBeside, (*site).tcp},
	})
}
