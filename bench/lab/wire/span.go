package wire

import (
	"context"
	"errors"
	"fmt"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bench/sim/fabric"
)

// Span is two hosts with a box between them, in namespaces of their own:
//
//	side A: dl0 10.77.0.1 ═══ dl1 (bare) ─ box ─ dl0 (bare) ═══ dl1 10.77.0.2 :side B
//	└───────── labs[A] ─────────┘                └───────── labs[B] ─────────┘
type Span struct {
	labs [2]*lab.Lab
	taps [2]*Tap
	box  *Box
	stop context.CancelFunc
	done chan error
}

// NewSpan makes the namespaces and the box, which does not run yet. The options hold for both
// pairs; checksums are computed by the stack, because nothing between the hosts would.
func NewSpan(o lab.PairOptions, s fabric.Script) (*Span, error) {
	n := &Span{}
	if err := n.open(o, s); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Span) open(o lab.PairOptions, s fabric.Script) error {
	o.NoTxChecksum = true
	for _, side := range []lab.Side{lab.A, lab.B} {
		o.Bare = [2]bool{}
		o.Bare[side.Other()] = true
		l, err := lab.New(o)
		if err != nil {
			return err
		}
		n.labs[side] = l
		err = l.In(side.Other(), func() (err error) {
			n.taps[side], err = Open(l.End(side.Other()).Name)
			return err
		})
		if err != nil {
			return err
		}
	}
	box, err := New(n.taps[lab.A], n.taps[lab.B], s)
	n.box = box
	return err
}

// End is the host's end on side.
func (n *Span) End(side lab.Side) lab.End { return n.labs[side].End(side) }

// In runs fn in the host's namespace on side, as lab.Lab.In does.
func (n *Span) In(side lab.Side, fn func() error) error { return n.labs[side].In(side, fn) }

// Start lets the box carry frames on a goroutine of its own, until Stop.
func (n *Span) Start() {
	ctx, stop := context.WithCancel(context.Background())
	n.stop, n.done = stop, make(chan error, 1)
	go func() { n.done <- n.box.Run(ctx) }()
}

// Stop stops the box and returns its counters so far. The box may start again.
func (n *Span) Stop() (Counters, error) {
	if n.stop == nil {
		return n.box.Counters(), nil
	}
	n.stop()
	err := <-n.done
	n.stop = nil
	return n.box.Counters(), err
}

// Close stops the box and removes everything.
func (n *Span) Close() error {
	var errs []error
	if n.stop != nil {
		_, err := n.Stop()
		errs = append(errs, err)
	}
	for side, l := range n.labs {
		if t := n.taps[side]; t != nil {
			errs = append(errs, t.Close())
			n.taps[side] = nil
		}
		if l != nil {
			errs = append(errs, l.Close())
			n.labs[side] = nil
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("wire: %w", err)
	}
	return nil
}
