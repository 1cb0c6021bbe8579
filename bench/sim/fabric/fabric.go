// Package fabric is the network of a simulation: hosts joined by one switch, on the virtual time of
// a sim.Loop. What goes wrong on the way is core/fault's to say, for each direction of each path.
//
//	         Send            judged           arrives            Receive
//	host A ────────> NIC ──────────────> path A->B ──────> queue towards B ──────> host B
//	                 rate, queue   fault.Model, MTU    rate, queue (the switch)
//
// Several senders meet in the queue towards one receiver: there is the incast. A frame is copied
// once, when it is sent; its deliveries (the frame, its copies, replays) share those bytes until
// they arrive, and each receiver gets bytes that are its own to change for the length of the call.
//
// Modelled: serialisation at a rate, tail drop of full queues, MTU black holes, and all that a
// fault.Model does. Not modelled: pause frames, marks, several paths between two hosts.
//
// A Network belongs to the thread of its loop. After a warm-up it allocates nothing: frames and
// deliveries come from lists of free ones.
package fabric

import (
	"fmt"
	"math/rand/v2"

	"github.com/dunlin-io/dunlin/bench/sim"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
)

// Limits of a Network.
const (
	MaxHosts  = 256  // (guess: an incast of 64 to 1 fits four times)
	MaxFrame  = 9216 // bytes: a jumbo frame of 9,000 with whatever headers one puts around it
	preamble  = 24   // bytes of wire time that a frame costs besides its own: preamble, FCS, gap
	billion   = 1e9  // nanoseconds per second
	bitsAByte = 8
)

// Port is one end of a cable. The zero value takes no time and loses nothing.
type Port struct {
	Rate  int64 // bits per second; 0: infinite
	Queue int64 // bytes that may wait for the rate; 0: unlimited
}

// Receiver is a host. The bytes are its own until it returns.
type Receiver interface {
	Receive(now core.Time, from int, frame []byte)
}

// Counters are what became of all frames.
//
//	Sent       = OutFull + TooLong + Judged
//	deliveries = Delivered + InFull + Empty + Forgotten + Flying
//
// where the deliveries are those of the models' counters, and one for each frame judged on a path
// without a model.
type Counters struct {
	Sent      uint64 // frames given to Send
	OutFull   uint64 // lost: the sender's queue was full
	TooLong   uint64 // lost: longer than the path's MTU, without a word to anybody
	Judged    uint64 // put on a path
	Delivered uint64 // given to a receiver: the link events
	InFull    uint64 // lost: the switch's queue towards the receiver was full
	Empty     uint64 // lost: cut to no bytes
	Forgotten uint64 // replays of frames older than the path remembers
	Flying    uint64 // under way now
	Bytes     uint64 // of those delivered
}

// Network is the switch and all cables.
type Network struct {
	loop   *sim.Loop
	id     sim.ID
	seed   uint64
	hosts  []host
	paths  []*path // from*len(hosts) + to
	frames frames
	flying flights
	counts Counters
	steps  []Step // of the script
}

// host is a receiver and both directions of its cable.
type host struct {
	to      Receiver
	out, in Port
	outFree core.Time // when the NIC has sent all that it has
	inFree  core.Time // when the switch has
}

// path is one direction between two hosts.
type path struct {
	model   *fault.Model // nil: perfect
	mtu     int          // bytes; 0: MaxFrame
	history []int32      // frames of the last ones offered, a ring; empty unless replays are wanted
	offered uint64
}

// What happens in a network; Arg is a flight but for steps.
const (
	arrives = iota // at the switch, if there is a rate towards the receiver
	reaches        // the receiver
	steps          // a step of the script: Arg is its number
)

// New makes a network of that many hosts, all without limits. Each path with a fault.Config draws
// from the seed and its own number, whenever it is configured.
func New(l *sim.Loop, hosts int, seed uint64) *Network {
	if hosts < 1 || hosts > MaxHosts {
		panic(fmt.Sprintf("fabric: %d hosts, possible are 1 to %d", hosts, MaxHosts))
	}
	n := &Network{
		loop: l, seed: seed, hosts: make([]host, hosts), paths: make([]*path, hosts*hosts),
	}
	n.id = l.Add(n)
	return n
}

// Inherit takes over the memory of a network that is over, which must not be used any more. It
// changes nothing but what is allocated; call it before the first frame.
func (n *Network) Inherit(old *Network) {
	n.frames.all, old.frames.all = old.frames.all, nil
	n.frames.recycle()
	n.flying.all = old.flying.all[:0]
}

// Attach names who receives what is sent to host.
func (n *Network) Attach(host int, to Receiver) { n.hosts[host].to = to }

// SetPorts sets both directions of a host's cable: out is its NIC, in the switch's queue towards
// it.
func (n *Network) SetPorts(host int, out, in Port) { n.hosts[host].out, n.hosts[host].in = out, in }

// SetFaults says what goes wrong from one host to another from now on.
func (n *Network) SetFaults(from, to int, c fault.Config) error {
	p := n.path(from, to)
	if p.model != nil {
		if err := p.model.SetConfig(c); err != nil {
			return err
		}
	} else {
		draw := rand.NewPCG(n.seed, uint64(from)<<32|uint64(to)+1)
		model, err := fault.New(c, rand.New(draw))
		if err != nil {
			return err
		}
		p.model = model
	}
	if c.Replay.Probability > 0 && len(p.history) < c.Replay.Depth+1 {
		n.forget(p)
		p.history = make([]int32, c.Replay.Depth+1)
		for i := range p.history {
			p.history[i] = noFrame
		}
	}
	return nil
}

// SetMTU makes a path lose what is longer than that many bytes, link header included. 0 takes the
// limit away.
func (n *Network) SetMTU(from, to, bytes int) { n.path(from, to).mtu = bytes }

// Cut cuts a path until then; core.Never is for good, the present heals.
func (n *Network) Cut(from, to int, until core.Time) error {
	p := n.path(from, to)
	if p.model == nil {
		if err := n.SetFaults(from, to, fault.Config{}); err != nil {
			return err
		}
	}
	p.model.Cut(until)
	return nil
}

// Clog holds what is sent on a path until then; the present lets it flow.
func (n *Network) Clog(from, to int, until core.Time) {
	if p := n.path(from, to); p.model != nil {
		p.model.Clog(until)
	}
}

// Faults is what a path's model has done, and how it is configured.
func (n *Network) Faults(from, to int) (fault.Counts, fault.Config) {
	if p := n.paths[from*len(n.hosts)+to]; p != nil && p.model != nil {
		return p.model.Counts(), p.model.Config()
	}
	return fault.Counts{}, fault.Config{}
}

// Delivered is Counters().Delivered.
func (n *Network) Delivered() uint64 { return n.counts.Delivered }

// Counters is a copy of the counters.
func (n *Network) Counters() Counters {
	c := n.counts
	c.Flying = uint64(n.flying.used)
	return c
}

//go:noinline
func (n *Network) path(from, to int) *path {
	at := &n.paths[from*len(n.hosts)+to]
	if *at == nil {
		*at = &path{}
	}
	return *at
}

// forget lets go of what a path remembers for replays.
func (n *Network) forget(p *path) {
	for _, f := range p.history {
		if f != noFrame {
			n.frames.release(f)
		}
	}
	p.history = nil
}

// recycle makes all frames free ones.
func (s *frames) recycle() {
	s.free, s.used = [classes]int32{}, 0
	for i := range s.all {
		f := &s.all[i]
		f.refs, f.next = 0, s.free[f.class]
		s.free[f.class] = int32(i) + 1
	}
}

// grow makes one more frame of a class: the only place that allocates frames.
//
//go:noinline
func (s *frames) grow(class uint8) int32 {
	s.all = append(s.all, frame{mem: make([]byte, 1<<(smallest+class)), class: class})
	return int32(len(s.all) - 1)
}

//go:noinline
func (s *flights) grow(x flight) int32 {
	s.all = append(s.all, x)
	return int32(len(s.all) - 1)
}
