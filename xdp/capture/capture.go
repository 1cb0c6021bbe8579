// Package capture writes the frames that an interface's steering program decides on to a pcapng
// stream, each with receive queue, verdict and reason. tcpdump cannot: frames that XDP redirects to
// a socket never reach the kernel's stack, where it listens.
//
//	steer --copy--> perf ring per CPU --Run--> pcapng -> file, or pipe to wireshark -k -i -
//
// It does not load or attach programs, decode frames, or see what is sent. A verdict is not a
// delivery: a redirected frame may still find its socket's ring full.
//
// Run works on the calling goroutine, in the network namespace of its thread, and never belongs on
// a dataplane core. Copying costs the receiving core half a microsecond for each frame captured; a
// reader that falls behind loses copies, which are counted, and never frames.
package capture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dunlin-io/dunlin/bpf"
)

// ErrNoProgram: nothing is attached to the interface's XDP hook.
var ErrNoProgram = errors.New("no XDP program attached (is iokernel running on this interface?)")

// ErrDetached: the program that was being watched has left the interface.
var ErrDetached = errors.New("XDP program was detached or replaced")

const (
	// pollEvery is how long a frame may wait in a ring that does not fill up, and a cancellation
	// for its effect: not noticed by a person, and no load. Guess.
	pollEvery = 50 * time.Millisecond
	// checkEvery is how often a quiet capture looks whether its program is still attached. Guess.
	checkEvery = time.Second
	// outputBytes is collected before it is written, unless no frame comes for pollEvery. Guess.
	outputBytes = 1 << 16
)

// Options say what to capture and where to.
type Options struct {
	Interface string    // name in the caller's network namespace
	All       bool      // also frames that were passed or dropped
	SnapLen   int       // bytes kept of each frame, up to bpf.MaxSnapLen; 0: that many
	Count     int       // end after so many frames; 0: no limit
	Out       io.Writer // a write that blocks holds Run up, also against its context
}

// Stats say what a capture has done.
type Stats struct {
	Frames uint64 // written
	Bytes  uint64 // of frames written, the pcapng around them not counted
	Lost   uint64 // frames that should have been captured and were not, for want of room
}

// Run captures until the context ends or Count frames are written, both without error, or until
// something fails. Whatever ends it, the stream is complete up to there and closed with statistics
// (unless writing itself failed), and Stats are valid. The header is written as soon as frames are
// captured. Frames of one CPU come in their order; those of several may be interleaved out of it.
//
// Errors wrap ErrNoProgram, ErrDetached, bpf.ErrNotSteer, bpf.ErrBusy, the kernel's or Out's.
func Run(ctx context.Context, o Options) (Stats, error) {
	stats, err := run(ctx, o)
	if err != nil {
		err = fmt.Errorf("capture: %s: %w", o.Interface, err)
	}
	return stats, err
}

func run(ctx context.Context, o Options) (Stats, error) {
	id, err := attached(o.Interface)
	if err != nil {
		return Stats{}, err
	}
	program, err := open(id)
	if err != nil {
		return Stats{}, err
	}
	defer program.Close()
	source, err := bpf.OpenCapture(program, bpf.CaptureOptions{All: o.All, SnapLen: o.SnapLen})
	if err != nil {
		return Stats{}, err
	}
	if o.SnapLen == 0 {
		o.SnapLen = bpf.MaxSnapLen
	}
	out := bufio.NewWriterSize(o.Out, outputBytes)
	s := &session{options: o, program: id, source: source, out: out, file: writer{out: out}}
	s.start = time.Now()
	s.sinceBoot, err = wallOfMonotonic()
	if err == nil {
		err = s.header()
	}
	if err == nil {
		err = s.copyAll(ctx)
	}
	return s.finish(err)
}
