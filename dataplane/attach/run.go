package attach

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
)

// ErrGone is what Run returns, wrapped with the reason, when the iokernel ended the attachment.
var ErrGone = errors.New("the iokernel ended the attachment")

// Run runs the workers until ctx ends (nil), the iokernel ends the attachment (ErrGone), or a loop
// cannot run. It may be called once, and blocks. Afterwards the runtime is closed.
func (rt *Runtime) Run(ctx context.Context) error {
	if rt.o.Solo != nil {
		rt.runSolo(ctx)
	} else if err := rt.runLoops(ctx); err != nil {
		return errors.Join(fmt.Errorf("attach %s: %w", rt.o.Name, err), rt.Close())
	}
	var gone error
	select {
	case <-rt.door.Done():
		gone = fmt.Errorf("attach %s: %w: %w", rt.o.Name, ErrGone, rt.door.Wait())
	default:
	}
	return errors.Join(gone, rt.Close())
}

// runLoops gives each worker a thread of its own.
func (rt *Runtime) runLoops(ctx context.Context) error {
	spin := rt.grant.Spin
	if spin < 0 || rt.loan != nil { // who lends the core sees that it is idle, and parks it
		spin = core.Never
	}
	if rt.o.Spin.set {
		spin = rt.o.Spin.t
	}
	loops := make([]*pin.Loop, len(rt.workers))
	for i, w := range rt.workers {
		loop, err := pin.New(pin.Options{
			Name: fmt.Sprintf("worker%d", i), CPU: w.cpu, Spin: spin,
			Host: w.host, Waiters: w.waiters(), Baton: rt.baton(w),
		})
		if err != nil {
			for _, l := range loops[:i] {
				l.Close()
			}
			return err
		}
		loops[i] = loop
	}
	if rt.loan != nil {
		restore, err := pin.KeepOff(rt.loan.grant.Cores)
		if err != nil {
			return err
		}
		defer restore()
	}
	pin.Procs(len(loops))
	ended := make(chan error, len(loops))
	for _, loop := range loops {
		go func() { ended <- loop.Run() }()
	}
	var errs []error
	running := len(loops)
	if rt.loan != nil {
		if err := rt.tellThreads(loops); err != nil {
			errs = append(errs, err)
			stopped, stop := context.WithCancel(ctx)
			stop()
			ctx = stopped
		}
	}
	select {
	case <-ctx.Done():
	case <-rt.door.Done():
	case err := <-ended:
		errs, running = append(errs, err), running-1
	}
	for _, loop := range loops {
		loop.Stop()
	}
	for ; running > 0; running-- {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

// runSolo adds the workers to the iokernel's own loop, for as long as this runs.
func (rt *Runtime) runSolo(ctx context.Context) {
	loop, host := rt.o.Solo.Loop(), rt.o.Solo.Host()
	loop.Do(func() {
		for _, w := range rt.workers {
			host.Add(w.host)
			for _, each := range w.waiters() {
				loop.AddWaiter(each)
			}
		}
	})
	select {
	case <-ctx.Done():
	case <-rt.door.Done():
	}
	loop.Do(func() {
		for _, w := range rt.workers {
			host.Remove(w.host)
			for _, each := range w.waiters() {
				loop.RemoveWaiter(each)
			}
		}
	})
}

// Close detaches and unmaps. It is for a runtime that was never run; Run closes by itself. A second
// Close does nothing.
func (rt *Runtime) Close() error {
	var errs []error
	for _, f := range slices.Backward(rt.closers) {
		errs = append(errs, f())
	}
	errs = append(errs, rt.door.Close())
	for _, s := range rt.sockets {
		errs = append(errs, s.Close())
	}
	for _, w := range rt.workers {
		if w.wake != nil {
			errs = append(errs, w.wake.Close())
		}
		if w.nudge != nil {
			errs = append(errs, w.nudge.Close())
		}
	}
	if rt.event != nil {
		errs = append(errs, rt.event.Close())
	}
	if rt.memory != nil {
		errs = append(errs, rt.memory.Close())
	}
	errs = append(errs, rt.loan.close())
	rt.sockets, rt.workers, rt.event, rt.memory, rt.loan = nil, nil, nil, nil, nil
	rt.closers = nil
	return errors.Join(errs...)
}
