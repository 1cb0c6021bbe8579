package neigh

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// askEvery is how often Run asks without an event. The kernel says when it has dropped events,
	// so this only limits what a mistake of ours, or of the kernel, can cost. (guess)
	askEvery = time.Minute
	// answerWithin bounds one question to the kernel, which answers in microseconds. (guess)
	answerWithin = 5 * time.Second
	// maxDumps bounds how often a list is asked for that changes while the kernel writes it.
	// (guess)
	maxDumps = 10
	// maxFailures is how many questions in a row may fail before Run gives up. (guess)
	maxFailures = 10
)

// ErrGone says that the interface does not exist any more, or lies in another namespace now.
var ErrGone = errors.New("the interface is gone")

// errClosed is for calls after Close.
var errClosed = errors.New("the watcher is closed")

// Watcher follows one interface.
type Watcher struct {
	index  int
	handle *netlink.Handle   // for questions about the interface, addresses and routes
	single *nl.NetlinkSocket // for questions about one neighbour, which Handle does not offer
	seq    nl.SocketHandle   // of single
	events *nl.NetlinkSocket

	// Whoever asks holds asking for reading: a closed Handle would silently ask in the network
	// namespace of whichever thread it is called on.
	asking sync.RWMutex
	closed bool

	mu    sync.Mutex
	state State
}

// Open finds the interface in the calling thread's network namespace. From then on no change is
// missed: those before Run are reported by it.
func Open(name string) (*Watcher, error) {
	w := &Watcher{}
	if err := w.open(name); err != nil {
		w.Close()
		return nil, fmt.Errorf("neigh: interface %s: %w", name, err)
	}
	return w, nil
}

func (w *Watcher) open(name string) (err error) {
	// Events first: what changes between the first question and its answer is reported as well.
	w.events, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR,
		unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if w.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return err
	}
	if err := w.handle.SetSocketTimeout(answerWithin); err != nil {
		return err
	}
	if w.single, err = nl.Subscribe(unix.NETLINK_ROUTE); err != nil {
		return err
	}
	timeout := unix.NsecToTimeval(answerWithin.Nanoseconds())
	if err := w.single.SetReceiveTimeout(&timeout); err != nil {
		return err
	}
	w.seq.Socket = w.single
	link, err := w.handle.LinkByName(name)
	if err != nil {
		return err
	}
	w.index = link.Attrs().Index
	w.state, err = w.ask()
	return err
}

// Close ends Run and frees the sockets. It may be called again.
func (w *Watcher) Close() {
	w.asking.Lock()
	defer w.asking.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	if w.events != nil {
		w.events.Close()
	}
	if w.handle != nil {
		w.handle.Close()
	}
	if w.single != nil {
		w.single.Close()
	}
}

// enter admits a question to the kernel; the caller calls leave after it.
func (w *Watcher) enter() (leave func(), err error) {
	w.asking.RLock()
	if w.closed {
		w.asking.RUnlock()
		return nil, errClosed
	}
	return w.asking.RUnlock, nil
}

// State returns what the kernel last said. The addresses are the caller's.
func (w *Watcher) State() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.state
	s.Addresses = slices.Clone(s.Addresses)
	return s
}

// Run calls changed for each change, one after another, until ctx ends (nil), the Watcher is closed
// (nil), the interface is gone (ErrGone, after changed was told) or the kernel does not answer any
// more. It is called once.
func (w *Watcher) Run(ctx context.Context, changed func(Change)) error {
	hints := make(chan struct{}, 1)
	closed := make(chan struct{})
	go w.listen(hints, closed)
	defer func() {
		w.events.Close() // ends listen
		<-closed
	}()
	clock := time.NewTimer(askEvery)
	defer clock.Stop()
	for failures := 0; ; {
		err := w.update(changed)
		switch {
		case err == nil:
			failures = 0
			clock.Reset(askEvery)
		case errors.Is(err, errClosed):
			return nil
		case errors.Is(err, ErrGone) || failures == maxFailures:
			return err
		default:
			failures++
			clock.Reset(answerWithin)
		}
		select {
		case <-hints:
		case <-clock.C:
		case <-closed:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// listen turns events into hints; a hint that was not taken yet stands for all that follow.
func (w *Watcher) listen(hints chan<- struct{}, closed chan<- struct{}) {
	defer close(closed)
	for {
		messages, _, err := w.events.Receive()
		switch {
		case err == nil:
			if !slices.ContainsFunc(messages, w.isAbout) {
				continue
			}
		case errors.Is(err, unix.ENOBUFS): // we were too slow, and anything may have been lost
		case errors.Is(err, unix.EINTR):
			continue
		default:
			return // the socket is closed
		}
		select {
		case hints <- struct{}{}:
		default:
		}
	}
}

// isAbout reports whether an event concerns our interface.
func (w *Watcher) isAbout(m syscall.NetlinkMessage) bool {
	switch m.Header.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_DELADDR:
	default:
		return false
	}
	// struct ifinfomsg and struct ifaddrmsg both have the index there.
	const indexAt, indexBytes = 4, 4
	return len(m.Data) >= indexAt+indexBytes &&
		binary.NativeEndian.Uint32(m.Data[indexAt:]) == uint32(w.index)
}

// update asks the kernel and reports what has changed. If the kernel does not answer, State keeps
// what was.
func (w *Watcher) update(changed func(Change)) error {
	state, err := w.ask()
	if err != nil {
		return fmt.Errorf("neigh: interface %s: %w", w.State().Name, err)
	}
	w.mu.Lock()
	old := w.state
	if state.Gone {
		state = old
		state.Gone, state.Up = true, false
	}
	w.state = state
	w.mu.Unlock()
	if c, ok := diff(old, state); ok {
		changed(c)
	}
	if state.Gone {
		return fmt.Errorf("neigh: interface %s: %w", state.Name, ErrGone)
	}
	return nil
}

// ask gets the state of the interface from the kernel.
func (w *Watcher) ask() (State, error) {
	leave, err := w.enter()
	if err != nil {
		return State{}, err
	}
	defer leave()
	link, err := w.handle.LinkByIndex(w.index)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return State{Index: w.index, Gone: true}, nil
	}
	if err != nil {
		return State{}, err
	}
	const running = unix.IFF_UP | unix.IFF_RUNNING
	attrs := link.Attrs()
	s := State{
		Index: w.index,
		Name:  attrs.Name,
		MTU:   attrs.MTU,
		Up:    attrs.RawFlags&running == running,
	}
	copy(s.MAC[:], attrs.HardwareAddr)
	for range maxDumps {
		var list []netlink.Addr
		list, err = w.handle.AddrList(link, netlink.FAMILY_ALL)
		if err == nil {
			s.Addresses = usable(list)
			return s, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return State{}, fmt.Errorf("list addresses: %w", err)
}

// usable are the addresses that a peer can rely on, sorted.
func usable(list []netlink.Addr) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, a := range list {
		if a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 &&
			a.Flags&unix.IFA_F_OPTIMISTIC == 0 {
			continue
		}
		addr, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue // not an IP address
		}
		bits, _ := a.Mask.Size()
		prefixes = append(prefixes, netip.PrefixFrom(addr.Unmap(), bits))
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return prefixes
}
