// Package xdp is the door to an interface's XDP hook: it attaches a program and opens AF_XDP
// sockets over memory that the caller supplies. It is the privileged half; xdp/sock, which works
// the rings of a socket once it is open, needs no privilege, and a socket opened here can be handed
// to another process.
//
//	               Interface
//	NIC queue 0 ─> program ─> XSKMAP[0] ─> Socket "nic"   over the iokernel's memory
//	NIC queue 1 ─> program ─> XSKMAP[1] ─> Socket "echo"  over a runtime's memory, fd handed to it
//	                  └─ not ours ─> kernel stack
//
// What the machine offers is probed and reported, never assumed: native or generic XDP, zero-copy
// or copy, busy polling, larger transmit budgets. Each step down is a Fallback with its reason.
// What would break somebody else is refused: the interface of the default route, an XDP program
// that was there before, a second owner for a queue's fill and completion rings.
//
// What it does not do: load or write programs (package bpf), decide what is steered where, move a
// frame. The memory is the caller's and must stay mapped until the sockets over it are closed.
//
// All of it is control plane: calls block for up to some hundred milliseconds. An Interface may be
// used by any goroutine. Everything happens in the network namespace of the calling thread, which
// must be the same for all calls on an Interface.
package xdp

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Mode is how a program is attached to an interface.
type Mode uint8

const (
	Auto    Mode = iota // native where the driver can, else generic
	Native              // in the driver, before the kernel makes a packet of the frame
	Generic             // in the stack: any driver, slower
)

// String is the mode's name in configuration and messages.
func (m Mode) String() string { return [...]string{"auto", "native", "generic"}[m] }

// Program is an XDP program with its map from queue to socket, as package bpf loads them.
type Program interface {
	Program() *ebpf.Program
	Sockets() *ebpf.Map
}

// Options says what to open.
type Options struct {
	Interface string
	Program   Program // the caller closes it, after the Interface
	Frags     bool    // Program was loaded for frames of several buffers; so will the sockets be

	Mode              Mode // Auto: the best there is
	AllowDefaultRoute bool // take the interface even if the machine is reached through it
}

// Fallback is a step down from what was wanted.
type Fallback struct {
	Wanted, Got, Why string
}

// String is the fallback in a sentence.
func (f Fallback) String() string {
	return fmt.Sprintf("%s instead of %s: %s", f.Got, f.Wanted, f.Why)
}

// ErrDefaultRoute is what Open refuses without Options.AllowDefaultRoute.
var ErrDefaultRoute = errors.New("the default route leads through it, so this machine may be " +
	"unreachable without it (allow it explicitly to take it all the same)")

// A ForeignError says that an XDP program is attached that we did not attach.
type ForeignError struct {
	Interface string
	Program   Attached
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("xdp: %s has XDP program %s already; detach it first, it is not replaced",
		e.Interface, e.Program)
}

// Interface is an interface with our program attached.
type Interface struct {
	features  Features
	mode      Mode
	frags     bool
	sockets   *ebpf.Map
	fallbacks []Fallback // of the attachment

	mu     sync.Mutex
	link   link.Link
	open   []*Socket
	closed bool
}

// Open attaches the program to the interface. The program then passes all frames to the kernel
// until sockets are opened and registered.
func Open(o Options) (*Interface, error) {
	f, err := Probe(o.Interface)
	if err != nil {
		return nil, err
	}
	if f.DefaultRoute && !o.AllowDefaultRoute {
		return nil, fmt.Errorf("xdp: open %s: %w", o.Interface, ErrDefaultRoute)
	}
	if f.Attached != nil {
		return nil, &ForeignError{Interface: o.Interface, Program: *f.Attached}
	}
	if err := checkFrames(f.MTU, MaxChunkBytes, 0, o.Frags); err != nil {
		return nil, fmt.Errorf("xdp: open %s: %w", o.Interface, err)
	}
	i := &Interface{features: f, frags: o.Frags, sockets: o.Program.Sockets()}
	if err := i.attach(o); err != nil {
		return nil, err
	}
	return i, nil
}

// Features is what Probe said when the interface was opened.
func (i *Interface) Features() Features { return i.features }

// Mode is Native or Generic.
func (i *Interface) Mode() Mode { return i.mode }

// Frags reports whether program and sockets take frames of several buffers.
func (i *Interface) Frags() bool { return i.frags }

// Fallbacks are the steps down so far: those of the attachment, then those of the sockets, each
// once.
func (i *Interface) Fallbacks() []Fallback {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := slices.Clone(i.fallbacks)
	for _, s := range i.open {
		for _, f := range s.fallbacks {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return all
}

// Register has the program find s in slot of its socket map: for the programs of package bpf, the
// number of the queue. A frame can only go to a socket of the queue that it came in on.
func (i *Interface) Register(s *Socket, slot int) error {
	if err := i.sockets.Put(uint32(slot), uint32(s.FD())); err != nil {
		return fmt.Errorf("xdp: %s: register %s in slot %d: %w", i.features.Interface, s, slot, err)
	}
	return nil
}

// Unregister empties a slot: its frames pass to the kernel. An empty slot is fine.
func (i *Interface) Unregister(slot int) error {
	err := i.sockets.Delete(uint32(slot))
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("xdp: %s: empty slot %d: %w", i.features.Interface, slot, err)
	}
	return nil
}

// Close detaches the program and closes the sockets that are still open, those that share a queue
// before its owner. Whoever works their rings must have stopped. Copies of a socket in other
// processes keep the queue bound. A second Close does nothing.
func (i *Interface) Close() error {
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return nil
	}
	i.closed = true
	open := slices.Clone(i.open)
	i.mu.Unlock()

	var errs []error
	if err := i.link.Close(); err != nil { // first, so that no frame is redirected any more
		errs = append(errs, fmt.Errorf("xdp: detach from %s: %w", i.features.Interface, err))
	}
	for _, s := range slices.Backward(open) { // later sockets share with earlier ones
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
