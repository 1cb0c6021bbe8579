// Package wire is a bad cable for real frames: a box in user space between two interfaces that
// delays, loses, copies and damages what passes, as a script of the simulator says. So what broke
// in virtual time can be tried on the kernel, and what the kernel shows can be written as a script.
//
//	host A        box                             host B
//	va ══════ wa  Tap ─> fabric.Network ─> Tap  wb ══════ vb
//	   veth        <─── the same, other way ───       veth
//
// The network is the simulator's own, package fabric; the machine's clock drives its loop. With the
// same script and the same frames in each direction, the same ones are lost, copied and damaged.
// Times are the machine's: a delay is a lower bound.
//
// Faults must sit here, in the middle. Filters and queueing disciplines on the sender's own veth do
// not see what AF_XDP sends, and native XDP on the receiver's comes before its ingress filters.
//
// The box sees frames as the wire does. An end that leaves checksums or segmentation to hardware
// (veth does unless told otherwise, see lab.PairOptions.NoTxChecksum) sends what no wire would
// carry: its frames pass as they are, and above fabric.MaxFrame bytes they are dropped and counted.
// VLAN tags that the kernel holds beside a frame are lost.
//
// A Box is run by one goroutine: by Run, or by Turn from a loop that does other things. Opening a
// Tap needs CAP_NET_RAW.
package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/sim"
	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/core"
)

// Counters are what became of all frames, both ways.
type Counters struct {
	fabric.Counters

	Oversize uint64 // dropped: longer than fabric.MaxFrame, so no frame of a wire
	Unsent   uint64 // dropped: the interface took them not
	Missed   uint64 // dropped: the box was too slow for the kernel's buffer
}

// Box carries frames between two taps: host 0 of its script is behind the first, host 1 behind the
// second.
type Box struct {
	taps  [2]*Tap
	loop  *sim.Loop
	net   *fabric.Network
	extra Counters
	b     [fabric.MaxFrame + 1]byte // one more: a frame that fills it is too long
}

// New makes a box between two taps, which stay the caller's.
func New(a, b *Tap, s fabric.Script) (*Box, error) {
	if s.Hosts != 2 {
		return nil, fmt.Errorf("wire: a script for %d hosts: want 2 (take a pair of it)", s.Hosts)
	}
	loop := sim.NewLoop()
	net, err := fabric.Play(loop, s)
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	box := &Box{taps: [2]*Tap{a, b}, loop: loop, net: net}
	for i := range box.taps {
		net.Attach(i, exit{box, i})
	}
	return box, nil
}

// exit is where frames leave the box.
type exit struct {
	box *Box
	i   int
}

// Receive implements fabric.Receiver.
func (x exit) Receive(_ core.Time, _ int, frame []byte) {
	if x.box.taps[x.i].Send(frame) != nil {
		x.box.extra.Unsent++
	}
}

const (
	// burst is how many frames are taken from one side before the other has its turn. (guess: what
	// one poll of a NIC takes)
	burst = 64

	// spin is how long before the next delivery the box stops sleeping: waking takes 20 to 40 us
	// on a virtual machine. (guess: twice that, with the timer's slack)
	spin = 120 * core.Microsecond

	// nap bounds a sleep, so that the end of a context is seen.
	nap = 50 * core.Millisecond
)

// Run carries frames until the context ends, which is no error. The script's clock starts at its
// beginning; a second Run goes on from where the first one ended.
func (x *Box) Run(ctx context.Context) error {
	start := time.Now().Add(-time.Duration(x.loop.Now()))
	for ctx.Err() == nil {
		n, err := x.Turn(core.Time(time.Since(start)))
		if err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		wait := min(x.loop.Next()-x.loop.Now(), nap+spin) - spin
		if wait > 0 {
			if err := x.sleep(wait); err != nil {
				return err
			}
		}
	}
	return nil
}

// Turn delivers what is due at a time of the script's clock, and takes what waits, up to a burst a
// side. It returns how many frames were taken, and does not block.
func (x *Box) Turn(at core.Time) (n int, err error) {
	x.loop.Run(at)
	for i := range x.taps {
		k, err := x.take(i)
		if err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

// take takes what waits at one tap.
func (x *Box) take(from int) (n int, err error) {
	for n < burst {
		length, err := x.taps[from].Recv(x.b[:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return n, nil
		case err != nil:
			return n, fmt.Errorf("wire: receive from %s: %w", x.taps[from].name, err)
		case length > fabric.MaxFrame:
			x.extra.Oversize++
		case length > 0:
			x.net.Send(x.loop.Now(), from, 1-from, x.b[:length])
		}
		n++
	}
	return n, nil
}

// sleep waits for a frame.
func (x *Box) sleep(wait core.Time) error {
	fds := [2]unix.PollFd{
		{Fd: int32(x.taps[0].fd), Events: unix.POLLIN},
		{Fd: int32(x.taps[1].fd), Events: unix.POLLIN},
	}
	ts := unix.NsecToTimespec(int64(wait))
	_, err := unix.Ppoll(fds[:], &ts, nil)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wire: wait for a frame: %w", err)
	}
	return nil
}

// Counters is a copy of the counters, for when the box does not run.
func (x *Box) Counters() Counters {
	c := x.extra
	c.Counters = x.net.Counters()
	for _, tap := range x.taps {
		tap.missed += tap.drops()
		c.Missed += tap.missed
	}
	return c
}
