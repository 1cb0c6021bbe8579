// Package sessions gives an attached runtime its sessions with other runtimes: calls, messages and
// remote writes over real frames.
//
//	s, err := sessions.Open(rt, sessions.Options{}, app)
//	...
//	go rt.Run(ctx)
//	err = s.Do(func(now core.Time, e *transport.Endpoint) { id, err = e.Connect(now, peer) })
//
// A session that is begun here is renewed with a fresh handshake every 120 s, by itself: EventUp of
// its successor says which session it Replaces. Calls under way end in the old one, new ones belong
// into the successor. So do regions: register them again for it, and tell the peer.
//
// It joins what decides (transport.Endpoint, a machine) with what a machine must not have: a key
// that the iokernel has certified, the system's randomness, the time of day, and a goroutine that
// does the arithmetic of handshakes. It decides nothing itself.
//
// So is the certificate: two thirds into its life a goroutine asks the iokernel for the next one,
// with the cluster file of that day, and goes on asking if it is refused (see Certificate).
//
// The endpoint belongs to one worker, and is used in its turns alone. App takes events there, and
// may call the endpoint. Other goroutines use Do. Open is for the goroutine that prepares the
// runtime, before Run; keys are forgotten when the runtime is closed.
//
// Where the iokernel lends cores, a turn may be any of the runtime's threads', one at a time; tasks
// and pollers beside a worker have a thread but not the worker, and must not call the endpoint.
// When the runtime has no core, frames, timers and Do get it one, as its class allows. A peer that
// hears nothing for its DeadAfter gives the session up: a best-effort runtime must expect that.
package sessions

import (
	"errors"
	"fmt"
	"sync"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/courier"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// Options say how sessions are had. The zero value is good on a raw Ethernet.
type Options struct {
	Worker int    // in whose turns
	UDP    uint16 // port for peers that are reached by UDP; 0: raw frames only
	// Insecure leaves frames readable and writable for everybody on the way, and takes anybody for
	// a peer who does the same: to measure what encryption costs. No certificate is asked for.
	Insecure bool
	// Transport is the endpoint's configuration. Handshake is filled in here but for GiveUpAfter,
	// and so is an MTU of 0: what the interface carries.
	Transport transport.Config
}

// App takes an event, in a turn of the worker; its bytes are valid until it returns. It must not
// block: where cores are lent, its core and the worker wait for it.
type App func(now core.Time, e *transport.Endpoint, ev transport.Event)

// Sessions is a runtime's end of all its sessions on one worker.
type Sessions struct {
	rt       *attach.Runtime
	endpoint *transport.Endpoint
	identity *attach.Identity // nil: insecure
	courier  *courier.Courier
	solver   *Solver
	wake     func()
	mail     chan letter
	ring     sync.Mutex // over each wake: afterwards the file may be somebody else's
	closed   chan struct{}
	renewer  renewer
}

// letter is what somebody else wants done in the worker's turn.
type letter struct {
	f    func(now core.Time, e *transport.Endpoint)
	done chan struct{}
}

// letters is how many of them wait; further callers do, too. (guess)
const letters = 16

// ErrClosed is what Do returns when the runtime has been closed.
var ErrClosed = errors.New("the runtime is closed")

// Open makes the endpoint and puts it beside a worker.
func Open(rt *attach.Runtime, o Options, app App) (*Sessions, error) {
	s, err := open(rt, o, app)
	if err != nil {
		return nil, fmt.Errorf("sessions of %s: %w", rt.Name(), err)
	}
	return s, nil
}

func open(rt *attach.Runtime, o Options, app App) (_ *Sessions, err error) {
	if err := granted(rt, o.UDP); err != nil {
		return nil, err
	}
	if o.Worker < 0 || o.Worker >= rt.Workers() {
		return nil, fmt.Errorf("worker %d of %d", o.Worker, rt.Workers())
	}
	s := &Sessions{rt: rt, mail: make(chan letter, letters), closed: make(chan struct{})}
	if s.wake, err = rt.Waker(o.Worker); err != nil {
		return nil, err
	}
	giveUp := o.Transport.Handshake.GiveUpAfter
	if o.Insecure {
		o.Transport.Handshake, err = Throwaway(rt.Name())
	} else {
		o.Transport.Handshake, err = s.certified()
	}
	if err != nil {
		return nil, err
	}
	o.Transport.Handshake.GiveUpAfter = giveUp
	if o.Transport.MTU == 0 {
		o.Transport.MTU = min(rt.Grant().Interface.MTU, transport.MaxMTU)
	}
	s.endpoint, err = transport.New(o.Transport)
	clear(o.Transport.Handshake.Private[:])
	if err != nil {
		return nil, err
	}
	s.solver = NewSolver(s.wake)
	s.courier, err = courier.New(s.endpoint, rt.Worker(o.Worker), o.UDP, s.solver,
		func(now core.Time, ev transport.Event) { app(now, s.endpoint, ev) })
	if err != nil {
		s.solver.Close()
		return nil, err
	}
	for k := range rt.Workers() {
		if k == o.Worker {
			continue
		}
		if err := s.courier.Relay(rt.Worker(k), s.wake); err != nil {
			s.solver.Close()
			return nil, err
		}
	}
	rt.Accompany(o.Worker, s)
	rt.AtClose(s.close)
	if s.identity != nil {
		go s.keepCertified()
	}
	return s, nil
}

// granted looks whether the iokernel lets the runtime's frames pass.
func granted(rt *attach.Runtime, udp uint16) error {
	want := control.Endpoint{EtherType: uint16(wire.EtherTypeDunlin)}
	text := fmt.Sprintf("EtherType %v", wire.EtherTypeDunlin)
	if udp != 0 {
		want, text = control.Endpoint{UDP: udp}, fmt.Sprintf("UDP port %d", udp)
	}
	for _, e := range rt.Grant().Endpoints {
		if e == want {
			return nil
		}
	}
	return fmt.Errorf("%s is not among the runtime's endpoints: add it to the iokernel's "+
		"configuration", text)
}

// certified is what the runtime proves, by the iokernel's word.
func (s *Sessions) certified() (c handshake.Config, err error) {
	if s.identity, err = s.rt.Identity(); err != nil {
		return c, err
	}
	c = fill(s.identity.Private, s.identity.Certificate, s.identity.Cluster.Trust())
	s.identity.Wipe() // the endpoint has it now
	s.renewer.begin(s.identity.Is.NotAfter)
	return c, nil
}

// Do has f run behind one of the worker's turns, and returns when it has. The runtime must be
// running, or start to. It blocks: not for App, handlers, pollers or f itself.
func (s *Sessions) Do(f func(now core.Time, e *transport.Endpoint)) error {
	l := letter{f, make(chan struct{})}
	select {
	case s.mail <- l:
	case <-s.closed:
		return ErrClosed
	}
	s.knock()
	select {
	case <-l.done:
		return nil
	case <-s.closed:
		return ErrClosed
	}
}

// knock wakes the worker, unless close was faster.
func (s *Sessions) knock() {
	s.ring.Lock()
	defer s.ring.Unlock()
	select {
	case <-s.closed:
	default:
		s.wake()
	}
}

// Key is this runtime's public key, by which peers name it.
func (s *Sessions) Key() identity.Key { return s.endpoint.Key() }

// Poll implements core.Poller: letters, then the courier.
func (s *Sessions) Poll(now core.Time) (work int) {
	for len(s.mail) > 0 && work < letters {
		l := <-s.mail // there is one, and nobody else takes it
		l.f(now, s.endpoint)
		close(l.done)
		work++
	}
	return work + s.courier.Poll(now)
}

// Next implements core.Poller.
func (s *Sessions) Next(now core.Time) core.Time {
	if len(s.mail) > 0 {
		return now
	}
	return s.courier.Next(now)
}

// close ends it: the loops have ended.
func (s *Sessions) close() error {
	s.ring.Lock()
	close(s.closed)
	s.ring.Unlock()
	s.solver.Close()
	s.endpoint.Wipe()
	return nil
}

// fill is a configuration with this machine's randomness and time of day.
func fill(private [32]byte, certificate []byte, trust *identity.Trust) handshake.Config {
	return handshake.Config{
		Private: private, Certificate: certificate, Trust: trust, Random: random{},
		Unix: unixAtZero(),
	}
}

var _ core.Poller = (*Sessions)(nil)
